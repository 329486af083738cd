# attack: compute for ever
# class: CPU
# wall: clocks


def attack(frame, frame_index, config):
    while True:
        pass
