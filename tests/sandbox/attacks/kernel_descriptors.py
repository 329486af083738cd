# attack: ask for every other kind of descriptor that the kernel makes
# class: signals and ptrace
# wall: fdless, seccomp

import ctypes

libc = ctypes.CDLL(None, use_errno=True)
empty = ctypes.create_string_buffer(256)
CALLS = {
    "perf_event_open": (298, empty, 0, -1, -1, 0),
    "memfd_secret": (447, 0),
    "landlock_create_ruleset": (444, b"\xff" * 8, 8, 0),
    "fanotify_init": (300, 0, 0),
    "inotify_init1": (294, 0),
    "pidfd_open": (434, 1, 0),
    "timerfd_create": (283, 1, 0),
    "signalfd4": (289, -1, empty, 8, 0),
    "eventfd2": (290, 0, 0),
    "epoll_create1": (291, 0),
    "mq_open": (240, b"codec-attack", 0x42, 0o600, None),
    "fsopen": (430, b"tmpfs", 0),
    "open_tree": (428, -100, b"/", 0),
    "dup": (32, 0),
}


def attack(frame, frame_index, config):
    opened = [name for name, call in CALLS.items() if libc.syscall(*call) >= 0]
    return f"outside: {', '.join(opened)}" if opened else "held: no descriptor at all"
