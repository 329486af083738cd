"""Self-repair: the framework tools, what an operator decides about them, and how changes go live."""
