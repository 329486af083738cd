"""Planners write the next candidate: `search` from a grammar of codecs, `claude` with a language model."""
