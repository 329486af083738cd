"""The program on the orchestrator host, which alone decides what a framework tool may touch. Standard library only.

It is installed owned by root (`/opt/codec-evolution` on AWS), reads one JSON document and prints one. It never runs
from the checkout that it edits.
"""
