"""The benchmark sandbox: walls, stages, clips and metrics."""
