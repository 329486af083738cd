# attack: encoder marks the zygote's scheduling policy for the decoder to inherit
# class: encoder to decoder
# wall: uid, seccomp, tampering check

import os


def attack(frame, frame_index, config):
    try:
        os.sched_setscheduler(config["zygote"], os.SCHED_BATCH, os.sched_param(0))
    except OSError as error:
        return f"held: {error.strerror}"
    return "held: planted"


def collect(frame, frame_index, config):
    try:
        return "outside: found" if os.sched_getscheduler(0) == os.SCHED_BATCH else "held: nothing there"
    except OSError as error:
        return f"held: {error.strerror}"
