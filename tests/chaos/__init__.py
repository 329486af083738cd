"""Fault injection over the real state machine: ``python -m tests.chaos --help``."""
