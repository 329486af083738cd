# attack: connect to a port of this machine
# class: sockets
# wall: fdless

import socket


def attack(frame, frame_index, config):
    socket.create_connection(("127.0.0.1", config["tcp"]), 1).close()
    return "outside: connected"
