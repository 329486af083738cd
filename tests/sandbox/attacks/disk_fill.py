# attack: fill the disk
# class: disk
# wall: fdless, rlimits


def attack(frame, frame_index, config):
    with open(config["directory"] + "/big", "wb") as file:
        for _ in range(100):
            file.write(bytes(1 << 20))
    return "outside: filled"
