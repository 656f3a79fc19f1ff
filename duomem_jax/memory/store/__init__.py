"""Where memories are kept: one SQLite file, shared by processes, with a history."""
