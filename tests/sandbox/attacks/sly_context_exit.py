# attack: take the frame from the traceback that a with statement hands over
# class: interpreter walk
# wall: separate_process


class Catch:
    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        self.up = trace.tb_frame.f_back
        return True


def attack(frame, frame_index, config):
    with Catch() as caught:
        raise ValueError
    return "inside: " + caught.up.f_code.co_name
