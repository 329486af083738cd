# attack: attach to the supervisor as a debugger
# class: signals and ptrace
# wall: uid, non_dumpable, seccomp

import ctypes

libc = ctypes.CDLL(None, use_errno=True)


def attack(frame, frame_index, config):
    done = libc.syscall(101, 0x4206, config["supervisor"], 0, 0)  # PTRACE_SEIZE
    return "outside: attached" if done == 0 else f"held: errno {ctypes.get_errno()}"
