"""Judging: rate-distortion figures, comparisons of two codecs, the adoption rule and the archive of elites."""
