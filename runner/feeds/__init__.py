"""Feeds: the only part of loading that knows Keras."""
