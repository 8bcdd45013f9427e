"""From the task that the data sets to a compiled Keras model."""
