"""The configuration that every AWS client shares: no call without a timeout, no retry without a bound."""

from __future__ import annotations

from botocore.config import Config

CONNECT_TIMEOUT_S = 5


def client_config(read_timeout_s: float = 10, attempts: int = 4) -> Config:
    """Return the configuration of one client.

    Parameters
    ----------
    read_timeout_s
        Seconds to wait for an answer; 10 suffice where a service answers at once.
    attempts
        Attempts in all, the first included; 1 where a repeated call would do its work twice.
    """
    return Config(
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=read_timeout_s,
        retries={"mode": "standard", "total_max_attempts": attempts},
    )
