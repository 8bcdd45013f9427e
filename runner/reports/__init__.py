"""Pages drawn from the files of a run or a sweep."""
