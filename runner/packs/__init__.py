"""Packs: samples stored one after another in large files, with an index; written here, read by `data=pack`."""
