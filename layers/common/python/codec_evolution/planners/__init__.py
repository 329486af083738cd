"""Planners: who writes the next candidate."""
