# attack: become another program, which would shed the interpreter but not the walls
# class: processes
# wall: fdless, seccomp

import os


def attack(frame, frame_index, config):
    os.execv("/bin/mkdir", ["mkdir", config["directory"] + "/new"])
    return "outside: not reached"
