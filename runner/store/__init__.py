"""The runs there are, asked as a store: their folders are all it has, and it needs no server."""
