# attack: make the supervisor slow
# class: signals and ptrace
# wall: uid, seccomp
# in Lambda: checked after every worker, and reported
# alone: it may change its runner for good

import os


def attack(frame, frame_index, config):
    os.setpriority(os.PRIO_PROCESS, config["supervisor"], 5)
    return "outside: set"
