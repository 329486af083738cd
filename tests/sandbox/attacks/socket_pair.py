# attack: make a pair of sockets
# class: sockets
# wall: fdless

import socket


def attack(frame, frame_index, config):
    return f"outside: {socket.socketpair()}"
