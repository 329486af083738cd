# attack: ignore every signal that can be ignored, then compute
# class: CPU
# wall: clocks

import signal


def attack(frame, frame_index, config):
    for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(number, signal.SIG_IGN)
    while True:
        pass
