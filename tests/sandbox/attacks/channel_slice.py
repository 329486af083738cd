# attack: encoder writes a number into the length of the zygote's time slice
# class: encoder to decoder
# wall: uid, seccomp, tampering check

import ctypes
import struct

libc = ctypes.CDLL(None, use_errno=True)
attributes = struct.Struct("<IIQiIQQQ")


def attack(frame, frame_index, config):
    wanted = attributes.pack(attributes.size, 0, 0, 0, 0, 3_141_592, 0, 0)
    done = libc.syscall(314, config["zygote"], wanted, 0)
    return "held: planted" if done == 0 else f"held: errno {ctypes.get_errno()}"


def collect(frame, frame_index, config):
    found = ctypes.create_string_buffer(attributes.size)
    libc.syscall(315, 0, found, attributes.size, 0)
    return "outside: found" if attributes.unpack(found.raw)[5] == 3_141_592 else "held: nothing there"
