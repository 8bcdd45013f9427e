"""Keras's folder of weights, and a network that is small."""

from tests.support.weights import keras_home  # noqa: F401
