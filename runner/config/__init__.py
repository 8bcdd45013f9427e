"""Composing and validating a configuration: the only part, with the Hydra sweeper, that knows Hydra."""
