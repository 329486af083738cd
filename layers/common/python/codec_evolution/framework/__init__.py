"""The framework as data: its releases, its tools by name, and the history of its modifications."""
