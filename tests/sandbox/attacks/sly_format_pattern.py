# attack: take the format method with a class pattern
# class: interpreter walk
# wall: separate_process


def attack(frame, frame_index, config):
    match "{0." + "_" + "_class_" + "_}":
        case str(format=render):
            return "inside: " + render(frame)
