# attack: lower the supervisor's limits
# class: signals and ptrace
# wall: uid, non_dumpable, seccomp
# in Lambda: checked after every worker, and put back or refused
# alone: it may change its runner for good

import resource


def attack(frame, frame_index, config):
    resource.prlimit(config["supervisor"], resource.RLIMIT_CORE, (0, 0))
    return "outside: set a limit"
