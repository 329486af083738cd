"""Benchmarks: `make bench` prints all of them as one JSON document."""
