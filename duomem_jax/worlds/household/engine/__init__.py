"""The fast text engine, word for word equal to the real one."""
