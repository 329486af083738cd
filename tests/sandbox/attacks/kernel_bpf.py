# attack: load a program into the kernel, or watch it
# class: signals and ptrace
# wall: fdless, seccomp

import ctypes

libc = ctypes.CDLL(None, use_errno=True)


def attack(frame, frame_index, config):
    attributes = ctypes.create_string_buffer(128)
    bpf, watch = libc.syscall(321, 0, attributes, 128), libc.syscall(298, attributes, 0, -1, -1, 0)
    return "outside: a handle" if max(bpf, watch) >= 0 else f"held: errno {ctypes.get_errno()}"
