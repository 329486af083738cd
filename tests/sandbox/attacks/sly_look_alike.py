# attack: call one function where a reader sees another, by a letter that looks the same
# class: interpreter walk
# wall: separate_process


def level(frame):
    return "held"


def levеl(frame):
    return "inside: another function"


def attack(frame, frame_index, config):
    return levеl(frame)
