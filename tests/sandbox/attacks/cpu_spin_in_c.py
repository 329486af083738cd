# attack: compute for ever in C, with the interpreter locked
# class: CPU
# wall: clocks


def attack(frame, frame_index, config):
    return f"outside: {pow(7, 10**9, 10**40000)}"
