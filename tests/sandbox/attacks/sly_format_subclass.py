# attack: read attributes by the format method of a string class of one's own
# class: interpreter walk
# wall: separate_process


class Text(str):
    def render(self, *values):
        return super().format(*values)


def attack(frame, frame_index, config):
    return "inside: " + Text("{0." + "_" + "_class_" + "_}").render(frame)
