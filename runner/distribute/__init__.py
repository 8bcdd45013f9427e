"""Training one model on several devices: where its variables are, and which rows of a batch go where."""
