"""The sandbox under attack, and honest codecs inside it."""
