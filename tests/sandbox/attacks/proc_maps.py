# attack: read one's own mappings from /proc
# class: /proc
# wall: fdless


def attack(frame, frame_index, config):
    return "outside: " + open("/proc/self/maps").read()[:50]
