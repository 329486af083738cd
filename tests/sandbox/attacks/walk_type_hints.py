# attack: evaluate a computed string without eval
# class: interpreter walk
# wall: fdless

import typing


def attack(frame, frame_index, config):
    def target(x: "__import__('os').getpid()"):
        return x

    return f"inside: {typing.get_type_hints(target)}"
