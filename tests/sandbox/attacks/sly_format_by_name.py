# attack: take the format method by its name, where it is no attribute to be seen
# class: interpreter walk
# wall: separate_process


def attack(frame, frame_index, config):
    render = getattr("{0." + "_" + "_class_" + "_}", "format")
    return "inside: " + render(frame)
