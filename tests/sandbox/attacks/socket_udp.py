# attack: send a datagram
# class: sockets
# wall: fdless

import socket


def attack(frame, frame_index, config):
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"leak", ("127.0.0.1", config["udp"]))
    return "outside: sent"
