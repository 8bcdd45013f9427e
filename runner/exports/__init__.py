"""`mode=export`: models in other formats, and the proof that they predict the same."""
