"""`python -m runner.runs`: the runs there are, listed, shown, compared, told apart, the best one, and cleaned up."""
