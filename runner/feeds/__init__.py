"""Handing a loader's batches to Keras: the only part of loading that knows Keras."""
