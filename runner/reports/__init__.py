"""The page a person looks at, drawn from the files of one run alone."""
