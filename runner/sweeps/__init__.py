"""The jobs of a sweep, each in its own process: launching, watching, pruning and collecting results."""
