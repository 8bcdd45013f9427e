"""The strategies that carry out a plan. None of them knows Keras."""
