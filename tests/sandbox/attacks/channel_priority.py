# attack: encoder marks the zygote's priority for the decoder to read
# class: encoder to decoder
# wall: uid, seccomp, tampering check

import os


def attack(frame, frame_index, config):
    zygote = config["zygote"]
    os.setpriority(os.PRIO_PROCESS, zygote, os.getpriority(os.PRIO_PROCESS, zygote) + 1)
    return "held: planted"


def collect(frame, frame_index, config):
    return "outside: inherited" if os.getpriority(os.PRIO_PROCESS, 0) > 0 else "held: as it was"
