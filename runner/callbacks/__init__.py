"""Keras callbacks that live for a whole run."""
