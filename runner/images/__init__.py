"""Pixels: from an image file to an array of a fixed size."""

from runner.images.settings import ImageSettings

__all__ = ["ImageSettings"]
