# attack: encoder writes data beside a file, in an extended attribute
# class: encoder to decoder
# wall: seccomp
# in Lambda: on what the user owned before only; the sweep clears the directories where it may write

import os


def attack(frame, frame_index, config):
    try:
        os.setxattr(config["canary"], b"user.codec-attack", bytes(700))
    except OSError as error:
        return f"held: {error.strerror}"
    return "held: planted"


def collect(frame, frame_index, config):
    try:
        found = os.getxattr(config["canary"], b"user.codec-attack")
    except OSError as error:
        return f"held: {error.strerror}"
    return f"outside: {len(found)} bytes"
