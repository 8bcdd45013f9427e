"""Stages: what a run does, one after the other."""
