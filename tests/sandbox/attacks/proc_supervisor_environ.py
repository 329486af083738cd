# attack: read the supervisor's environment from /proc
# class: /proc
# wall: fdless


def attack(frame, frame_index, config):
    with open("/proc/" + str(config["supervisor"]) + "/environ", "rb") as file:
        return "outside: the secret" if b"CANARY" in file.read() else "outside: an environment"
