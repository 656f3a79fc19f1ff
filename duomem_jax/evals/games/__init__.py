"""Players scored on games."""
