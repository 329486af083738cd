# attack: change how signals are handled beyond one's own process
# class: poisoned zygote
# wall: separate_process

import signal


def attack(frame, frame_index, config):
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    return "held: planted"


def collect(frame, frame_index, config):
    return "outside: kept" if signal.getsignal(signal.SIGTERM) == signal.SIG_IGN else "held: as it was"
