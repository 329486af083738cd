"""The benchmark sandbox: walls, stages, clips and quality measures."""
