# attack: open the zygote's memory through /proc, to poison the next candidate
# class: /proc
# wall: fdless


def attack(frame, frame_index, config):
    with open("/proc/" + str(config["zygote"]) + "/mem", "r+b", 0):
        return "outside: opened"
