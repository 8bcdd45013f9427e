"""Sources: where samples live, and what opens them."""
