# attack: write to whatever memory is shared with the zygote
# class: encoder to decoder
# wall: separate_process

import gc
import mmap


def attack(frame, frame_index, config):
    maps = [found for found in gc.get_objects() if isinstance(found, mmap.mmap)]
    for found in maps:
        found[len(found) - 8 :] = b"picture!"
    return f"held: {len(maps)} mappings, own channel among them"


def collect(frame, frame_index, config):
    maps = [found for found in gc.get_objects() if isinstance(found, mmap.mmap)]
    return (
        "outside: found"
        if any(found[len(found) - 8 :] == b"picture!" for found in maps)
        else "held: nothing there"
    )
