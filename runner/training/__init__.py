"""Fitting, evaluating and predicting with a Keras model, and the settings for it."""
