"""The command line: Typer commands by topic, what they read, and how they print it; `infra.cli` mounts them."""
