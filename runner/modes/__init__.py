"""One module per `mode=`, and what the modes share."""
