# attack: kill the zygote
# class: signals and ptrace
# wall: uid, seccomp, landlock
# in Lambda: the supervisor starts a new one; the candidate gains no score

import os


def attack(frame, frame_index, config):
    os.kill(config["zygote"], 9)
    return "outside: killed the zygote"
