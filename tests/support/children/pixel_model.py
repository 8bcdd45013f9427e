"""A network of a user: a module that imports nothing, as a run digests the code of all that its modules import."""


def of_pixels(input_shape, num_classes):
    """A network that sees one pixel at a time."""
    import keras

    layers = keras.layers.Rescaling(1 / 255), keras.layers.Conv2D(num_classes, 1, activation="softmax")
    return keras.Sequential([keras.Input(input_shape), *layers])
