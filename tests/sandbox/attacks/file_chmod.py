# attack: change a file's mode
# class: files
# wall: seccomp
# in Lambda: the environment's own /tmp only, where nothing trusted is kept

import os


def attack(frame, frame_index, config):
    os.chmod(config["canary"], 0o600)
    return "outside: changed"
