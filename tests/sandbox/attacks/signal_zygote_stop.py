# attack: stop the zygote, so that the supervisor waits for ever
# class: signals and ptrace
# wall: uid, seccomp, landlock
# in Lambda: every read has a timeout; the supervisor starts a new one

import os


def attack(frame, frame_index, config):
    os.kill(config["zygote"], 19)
    return "outside: stopped the zygote"
