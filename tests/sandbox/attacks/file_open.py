# attack: open a file for reading
# class: files
# wall: fdless


def attack(frame, frame_index, config):
    return "outside: read " + open(config["canary"]).read()
