# attack: compute for ever in C, with the interpreter locked
# class: CPU
# wall: clocks


def attack(frame, frame_index, config):
    return "outside: " + str(pow(7, 10**40000, 10**40000 - 1) > 0)
