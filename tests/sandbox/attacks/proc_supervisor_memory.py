# attack: open the supervisor's memory through /proc
# class: /proc
# wall: fdless


def attack(frame, frame_index, config):
    with open("/proc/" + str(config["supervisor"]) + "/mem", "r+b", 0):
        return "outside: opened"
