"""Landlock without a single rule: no path, no TCP port, no signal or abstract socket outside (landlock(7))."""

from __future__ import annotations

import os
import struct

from codec_sandbox import syscalls

# Access bits by ABI version. Source: include/uapi/linux/landlock.h.
_FILES = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1, 5: (1 << 16) - 1}
_TCP_SINCE, _SCOPE_SINCE = 4, 6


def restrict() -> str:
    """Refuse, irrevocably, everything that this kernel's Landlock can refuse.

    Returns
    -------
    str
        ``ok``, or why the layer is not in force.
    """
    abi = syscalls.call("landlock_create_ruleset", None, 0, 1)
    if abi < 1:
        return f"not offered by this kernel ({syscalls.error_name(abi)})"
    files = max(bits for since, bits in _FILES.items() if since <= abi)
    fields = [files] + [3] * (abi >= _TCP_SINCE) + [3] * (abi >= _SCOPE_SINCE)
    attributes = struct.pack(f"{len(fields)}Q", *fields)
    ruleset = syscalls.call("landlock_create_ruleset", attributes, len(attributes), 0)
    if ruleset < 0:
        return syscalls.error_name(ruleset)
    result = syscalls.call("landlock_restrict_self", ruleset, 0)
    os.close(ruleset)
    return "ok" if result == 0 else syscalls.error_name(result)
