# attack: hide a computed name behind a default that looks like one
# class: interpreter walk
# wall: separate_process


def attack(frame, frame_index, config):
    found = getattr(*[frame, "_" + "_class_" + "_"], "shape")
    return f"inside: {found}"
