# attack: ask the kernel for routes and interfaces
# class: sockets
# wall: fdless

import socket


def attack(frame, frame_index, config):
    return f"outside: {socket.socket(16, socket.SOCK_RAW, 0)}"
