"""`python -m runner.runs`: list, show, compare and clean up runs."""
