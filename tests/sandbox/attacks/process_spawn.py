# attack: posix_spawn, which has its own path through libc
# class: processes
# wall: nproc

import os


def attack(frame, frame_index, config):
    return f"outside: {os.posix_spawn('/bin/true', ['true'], {})}"
