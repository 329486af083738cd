# attack: write to the zygote's memory, at an address that a fork knows
# class: signals and ptrace
# wall: uid, non_dumpable, seccomp

import ctypes
import struct

libc = ctypes.CDLL(None, use_errno=True)


def attack(frame, frame_index, config):
    local = struct.pack("PN", id(None), 8)
    done = libc.syscall(311, config["zygote"], local, 1, local, 1, 0)
    return "outside: wrote" if done >= 0 else f"held: errno {ctypes.get_errno()}"
