# attack: open a port and wait for the other role
# class: sockets
# wall: fdless

import socket


def attack(frame, frame_index, config):
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen()
    return f"outside: {server.getsockname()}"
