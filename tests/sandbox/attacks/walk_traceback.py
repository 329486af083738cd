# attack: the same by a traceback, without the sys module
# class: interpreter walk
# wall: separate_process


def attack(frame, frame_index, config):
    try:
        raise ValueError
    except ValueError as error:
        up = error.__traceback__.tb_frame.f_back
        return "inside: " + up.f_code.co_name
