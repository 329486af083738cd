# attack: carry text that no reader sees
# class: interpreter walk
# wall: separate_process


def attack(frame, frame_index, config):
    return "inside: carried" if len("ㅤ­͏") == 3 else "held"
