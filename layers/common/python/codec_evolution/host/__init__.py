"""The program on the orchestrator host: the only judge of what a framework tool may touch. Standard library only.

It is installed root-owned (`/opt/codec-evolution` on AWS), takes one JSON document, prints one, and is never run from
the checkout that it edits.
"""
