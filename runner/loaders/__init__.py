"""Loaders: the strategies that carry a plan out. None of them knows Keras."""
