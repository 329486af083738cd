# attack: load a shared library from disk
# class: files
# wall: fdless

import ctypes


def attack(frame, frame_index, config):
    ctypes.CDLL("libutil.so.1")
    ctypes.CDLL("libanl.so.1")
    return "outside: loaded a library"
