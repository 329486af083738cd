# attack: the same by a generator's frame
# class: interpreter walk
# wall: separate_process


def attack(frame, frame_index, config):
    def generate():
        yield running.gi_frame.f_back

    running = generate()
    return "inside: " + next(running).f_code.co_name
