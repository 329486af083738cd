# attack: signal the supervisor
# class: signals and ptrace
# wall: uid, seccomp, landlock
# in Lambda: a stopped or killed environment is counted against the candidate after one retry and a control run

import os
import signal


def attack(frame, frame_index, config):
    os.kill(config["supervisor"], signal.SIGURG)
    return "outside: signalled"
