# attack: connect to a socket in the file system
# class: sockets
# wall: fdless

import socket


def attack(frame, frame_index, config):
    socket.socket(socket.AF_UNIX).connect(config["unix"])
    return "outside: connected"
