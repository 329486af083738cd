"""The operator's settings for this host: one JSON file, owned by root, that no tool can reach."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path

TOOLS_MODES = ("on", "approve_all", "off")
"""Values of ``tools``."""
AUTONOMIES = ("data", "code")
"""Values of ``autonomy``."""


class ConfigError(ValueError):
    """The host's settings cannot be used; the message names the field."""


@dataclass(frozen=True)
class HostConfig:
    """The host's settings.

    Attributes
    ----------
    checkout
        The framework checkout that the tools may edit.
    state
        Folder of backups, ledger and lock; outside the checkout.
    guard
        The guard's data (``guard.toml``), outside the checkout.
    manifest
        Hashes of all files that no tool may change, as last deployed (JSON), outside the checkout.
    python
        Interpreter that has what the quick tests import.
    tools
        ``on``; ``approve_all``: a person approves every call; ``off``: every call is denied.
    autonomy
        ``data``: code changes need approval; ``code``: they do not.
    approve_commands
        Whether shell commands and packages need approval even where the guard allows them (a person's own machine).
    user
        Account that owns checkout and state; empty to keep the account that started the program.
    deployed
        Folder of the framework as deployed, on a host whose sandbox image can be rebuilt with packages for candidates;
        empty elsewhere, where such packages are refused.
    pip_config
        pip's configuration file, which names the package index; empty for the machine's own.
    restart
        The systemd unit that `restart_orchestrator` restarts; empty where there is none.
    """

    checkout: str
    state: str
    guard: str
    manifest: str
    python: str
    tools: str = "on"
    autonomy: str = "data"
    approve_commands: bool = False
    user: str = ""
    deployed: str = ""
    pip_config: str = ""
    restart: str = ""

    def __post_init__(self) -> None:
        """Check every field; raises `ConfigError`."""
        for name in ("checkout", "state", "guard", "manifest", "python"):
            if not Path(getattr(self, name)).is_absolute():
                raise ConfigError(f"{name} must be an absolute path")
        checkout = Path(self.checkout).resolve()
        for name in ("deployed", "pip_config"):
            if getattr(self, name) and not Path(getattr(self, name)).is_absolute():
                raise ConfigError(f"{name} must be an absolute path or empty")
        for name in ("state", "guard", "manifest", "deployed", "pip_config"):
            path = getattr(self, name)
            if path and Path(path).resolve().is_relative_to(checkout):
                raise ConfigError(f"{name} must lie outside the checkout")
        if self.tools not in TOOLS_MODES:
            raise ConfigError(f"tools must be one of {', '.join(TOOLS_MODES)}")
        if self.autonomy not in AUTONOMIES:
            raise ConfigError(f"autonomy must be one of {', '.join(AUTONOMIES)}")

    @classmethod
    def load(cls, path: Path) -> HostConfig:
        """Read the file; raises `ConfigError`."""
        try:
            given = json.loads(path.read_text("utf-8"))
            unknown = set(given) - {field.name for field in fields(cls)}
            if unknown:
                raise ConfigError(f"unknown setting {', '.join(sorted(unknown))}")
            return cls(**given)
        except (OSError, ValueError, TypeError) as error:
            raise ConfigError(f"{path}: {error}") from None
