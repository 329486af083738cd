# attack: take the processors away from the supervisor
# class: signals and ptrace
# wall: uid, seccomp
# in Lambda: checked after every worker, and put back

import os


def attack(frame, frame_index, config):
    os.sched_setaffinity(config["supervisor"], {0})
    return "outside: set"
