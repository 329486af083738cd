# attack: attach to the zygote as a debugger
# class: signals and ptrace
# wall: uid, non_dumpable, seccomp

import ctypes

libc = ctypes.CDLL(None, use_errno=True)


def attack(frame, frame_index, config):
    done = libc.syscall(101, 16, config["zygote"], 0, 0)  # PTRACE_ATTACH
    return "outside: attached" if done == 0 else f"held: errno {ctypes.get_errno()}"
