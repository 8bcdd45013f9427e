"""Experiment trackers that follow a run, such as MLflow."""
