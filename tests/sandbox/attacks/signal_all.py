# attack: signal every process of this user at once
# class: signals and ptrace
# wall: uid, seccomp, landlock
# in Lambda: the environment dies; counted against the candidate after one retry and a control run
# alone: it would take its runner along

import os


def attack(frame, frame_index, config):
    os.kill(-1, 9)
    return "outside: killed everything"
