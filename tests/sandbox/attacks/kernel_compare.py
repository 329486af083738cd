# attack: ask the kernel how two other processes are related, and where their memory lies
# class: signals and ptrace
# wall: uid, non_dumpable, seccomp
# in Lambda: metadata only; an interpreter that cannot be read, as in our image, closes it

import ctypes

libc = ctypes.CDLL(None, use_errno=True)


def attack(frame, frame_index, config):
    same = libc.syscall(312, config["supervisor"], config["zygote"], 1, 0, 0)
    page = libc.syscall(279, config["supervisor"], 0, None, None, None, 0)
    return f"outside: {same} {page}" if same >= 0 or page >= 0 else f"held: errno {ctypes.get_errno()}"
