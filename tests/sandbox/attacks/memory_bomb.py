# attack: take all memory
# class: memory
# wall: rlimits


def attack(frame, frame_index, config):
    kept = []
    for _ in range(64):
        kept.append(bytearray(1 << 28))
    return "outside: took 16 GiB"
