# attack: raise one's own limits again
# class: signals and ptrace
# wall: rlimits

import resource


def attack(frame, frame_index, config):
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    return "outside: raised"
