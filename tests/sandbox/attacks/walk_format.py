# attack: read attributes with a format string
# class: interpreter walk
# wall: separate_process


def attack(frame, frame_index, config):
    text = "{0.__class__.__base__}"
    return "inside: " + text.format(frame)
