"""Data: sources of samples, their labels and splits, and the components that open them."""
