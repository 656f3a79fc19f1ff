"""How the tiny listener is made: a base for the experts of a memory, new to their work."""
