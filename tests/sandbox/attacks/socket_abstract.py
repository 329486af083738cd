# attack: connect to an abstract socket, which no directory's mode protects
# class: sockets
# wall: fdless

import socket


def attack(frame, frame_index, config):
    socket.socket(socket.AF_UNIX).connect("\0" + config["abstract"])
    return "outside: connected"
