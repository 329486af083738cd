# attack: take memory that a limit on private data would not count
# class: memory
# wall: rlimits

import mmap


def attack(frame, frame_index, config):
    kept = [mmap.mmap(-1, 1 << 28) for _ in range(64)]
    return f"outside: took {len(kept) // 4} GiB"
