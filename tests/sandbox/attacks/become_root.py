# attack: take the privileges back
# class: signals and ptrace
# wall: uid

import os


def attack(frame, frame_index, config):
    if os.getresuid()[2] == 0:
        return "outside: still root"
    os.setresuid(0, 0, 0)
    return "outside: root again"
