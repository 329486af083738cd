# attack: read the supervisor's memory without a descriptor
# class: signals and ptrace
# wall: uid, non_dumpable, seccomp

import ctypes
import struct

libc = ctypes.CDLL(None, use_errno=True)


def attack(frame, frame_index, config):
    room = ctypes.create_string_buffer(8)
    local = struct.pack("PN", ctypes.addressof(room), 8)
    done = libc.syscall(310, config["supervisor"], local, 1, local, 1, 0)
    refused = done < 0 and ctypes.get_errno() != 14
    return f"held: errno {ctypes.get_errno()}" if refused else "outside: allowed to read"
