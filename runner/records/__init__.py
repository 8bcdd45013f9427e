"""What happened, as files: the folder of a run and everything that is written into it."""
