"""Drawn inputs at every boundary that hostile text crosses."""
