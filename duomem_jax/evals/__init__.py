"""Players scored on games, what models memorise, intervals and paired tests."""
