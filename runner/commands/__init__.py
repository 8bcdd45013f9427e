"""Commands that run several jobs: sweeps, searches, and resuming them."""
