# attack: read the environment through os
# class: environment
# wall: empty_env

import os


def attack(frame, frame_index, config):
    secret = [name for name in os.environ if "CANARY" in name or "AWS" in name or "KEY" in name]
    return f"outside: {secret}" if secret else "held: " + " ".join(sorted(os.environ))
