"""Jobs of a sweep, each in a process of its own: folders and processes, and nothing of what a job does."""
