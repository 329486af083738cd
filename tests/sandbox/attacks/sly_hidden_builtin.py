# attack: name a parameter like a builtin, to hide the builtin from the check everywhere
# class: interpreter walk
# wall: separate_process


def other(getattr):
    return getattr


def attack(frame, frame_index, config):
    return f"inside: {getattr(frame, '_' + '_class_' + '_')}"
