# attack: read an attribute with a class pattern
# class: interpreter walk
# wall: separate_process


def attack(frame, frame_index, config):
    match frame:
        case object(__class__=found):
            return f"inside: {found}"
