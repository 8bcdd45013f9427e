"""Where samples live: sources, their labels and splits, and the components that open them."""
