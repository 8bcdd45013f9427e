"""Transforms of samples between reading and the batch. Nothing here imports Keras."""
