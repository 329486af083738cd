# attack: read a symbolic link
# class: files
# wall: seccomp
# in Lambda: metadata only, and the image holds nothing secret

import os


def attack(frame, frame_index, config):
    return "outside: " + os.readlink("/proc/self/exe")
