# attack: make a tensor's storage out of a pointer, by private names that a variable of one's own makes known
# class: interpreter walk
# wall: separate_process

import torch

_untyped_storage = _new_with_weak_ptr = _weak_ref = None


class Own:
    def storage(self):
        return self


def attack(frame, frame_index, config):
    found = torch.ones(4).storage()._untyped_storage
    again = found._new_with_weak_ptr(found._weak_ref())
    return f"inside: {len(again)} bytes"
