"""How the shipped tiny models are made."""
