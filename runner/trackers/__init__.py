"""Trackers: what follows runs from outside their folders, if one is chosen."""
