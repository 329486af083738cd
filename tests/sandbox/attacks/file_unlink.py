# attack: delete a file
# class: files
# wall: seccomp, landlock
# in Lambda: the environment's own /tmp only, where nothing trusted is kept

import os


def attack(frame, frame_index, config):
    os.unlink(config["canary"])
    return "outside: deleted"
