"""The files of a run and of a sweep: writing, reading and comparing them."""
