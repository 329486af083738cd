# attack: signal the supervisor by the call for threads, which has a number of its own
# class: signals and ptrace
# wall: uid, seccomp, landlock
# in Lambda: a stopped or killed environment is counted against the candidate after one retry and a control run

import ctypes

libc = ctypes.CDLL(None, use_errno=True)


def attack(frame, frame_index, config):
    done = libc.syscall(200, config["supervisor"], 28)  # SIGWINCH, which does no harm
    return "outside: delivered" if done == 0 else f"held: errno {ctypes.get_errno()}"
