# attack: ask the resolver, which can carry data out
# class: sockets
# wall: fdless

import socket


def attack(frame, frame_index, config):
    return f"outside: {socket.getaddrinfo('example.com', 80)}"
