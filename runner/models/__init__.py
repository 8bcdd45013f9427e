"""Models: from the task the data sets to a Keras model."""
