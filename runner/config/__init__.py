"""Configuration with every problem at once: the only part, beside `__main__`, that knows Hydra."""
