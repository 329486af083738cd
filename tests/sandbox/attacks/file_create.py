# attack: create a file in a directory that anybody may write
# class: files
# wall: fdless


def attack(frame, frame_index, config):
    open(config["directory"] + "/new", "x").close()
    return "outside: created"
