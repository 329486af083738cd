# attack: never finish loading
# class: CPU
# wall: clocks

while True:
    pass


def attack(frame, frame_index, config):
    return "outside: not reached"
