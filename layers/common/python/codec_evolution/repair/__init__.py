"""Self-repair: framework tool calls, the operator's decisions about them, and how changes go live."""
