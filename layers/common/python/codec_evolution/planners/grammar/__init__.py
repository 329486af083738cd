"""The offline search's grammar of codecs."""
