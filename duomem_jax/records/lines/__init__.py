"""Records as JSON Lines: what others bring, and what others can read."""
