"""The framework tools by name."""

from __future__ import annotations

MODIFY = "modify_framework_file"
SHELL = "run_shell_command"
INSTALL = "install_python_package"
RESTART = "restart_orchestrator"
ROLLBACK = "rollback_file"
TOOLS = (MODIFY, SHELL, INSTALL, RESTART, ROLLBACK)
RESTORE = "restore_file"
"""Undoing a recorded change by its contents; an operator's command, offered to no planner."""
