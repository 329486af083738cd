"""The loop: what each state of the cycle does, from opening a cycle to committing a version."""
