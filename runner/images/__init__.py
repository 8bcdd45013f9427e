"""Images: from a file to an array of pixels of a fixed size."""

from runner.images.settings import ImageSettings

__all__ = ["ImageSettings"]
