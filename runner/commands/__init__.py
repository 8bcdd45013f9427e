"""What a command on several jobs does: sweeps, searches, and resuming them."""
