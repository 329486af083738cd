# attack: encoder marks the zygote's priority for the decoder to read
# class: encoder to decoder
# wall: uid, seccomp, tampering check

import os


def attack(frame, frame_index, config):
    zygote = config["zygote"]
    os.setpriority(os.PRIO_PROCESS, zygote, os.getpriority(os.PRIO_PROCESS, zygote) + 1)
    return "held: planted"


def collect(frame, frame_index, config):
    inherited = os.getpriority(os.PRIO_PROCESS, 0) - os.getpriority(os.PRIO_PROCESS, config["supervisor"])
    return f"outside: {inherited} inherited" if inherited else "held: as it was"
