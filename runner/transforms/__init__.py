"""What may change a sample between reading and the batch. None of it knows Keras."""
