# attack: recurse until the stack ends
# class: memory
# wall: separate_process

import sys


def attack(frame, frame_index, config):
    sys.setrecursionlimit(10**9)

    def down(depth):
        return [down(depth + 1) for _ in range(1)]

    return f"outside: {down(0)}"
