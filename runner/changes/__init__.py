"""What may happen to a sample between its reading and the batch. None of it knows Keras."""
