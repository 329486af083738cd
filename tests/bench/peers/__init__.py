"""Overhead, robustness and attacks: the sandbox beside OpenEvolve and ShinkaEvolve."""
