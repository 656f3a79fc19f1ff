"""How the tiny listener is made: a base for the experts of a memory, which knows none of their work."""
