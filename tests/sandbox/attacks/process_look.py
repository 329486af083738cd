# attack: learn which processes exist, by asking for their processors
# class: processes
# wall: seccomp
# in Lambda: metadata only, and the environment runs nothing but the sandbox

import os


def attack(frame, frame_index, config):
    try:
        return f"outside: it may run on {os.sched_getaffinity(config['supervisor'])}"
    except OSError as error:
        return f"held: {error.strerror}"
