# attack: have a reader see a comment where the interpreter sees a condition, by direction marks
# class: interpreter walk
# wall: separate_process


def attack(frame, frame_index, config):
    level = "user"
    if level != "none‮⁦# only for tests⁩⁦":
        return "inside: read otherwise than it runs"
    return "held"
