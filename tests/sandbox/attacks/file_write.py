# attack: write to an existing file
# class: files
# wall: fdless


def attack(frame, frame_index, config):
    with open(config["canary"], "w") as file:
        file.write("forged")
    return "outside: wrote"
