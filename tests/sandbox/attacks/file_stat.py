# attack: learn whether a file exists, and how old it is
# class: files
# wall: seccomp
# in Lambda: metadata only, and the image holds nothing secret

import os


def attack(frame, frame_index, config):
    return f"outside: {os.stat(config['canary']).st_mtime}"
