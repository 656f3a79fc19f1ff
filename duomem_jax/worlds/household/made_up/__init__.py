"""Made-up tasks in real rooms: whoever would solve one has to read what it means."""
