"""Callbacks of Keras: what happens beside training."""
