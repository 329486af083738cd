"""The local default: emulator, lowering, deployment, GitHub stand-in, runner."""
