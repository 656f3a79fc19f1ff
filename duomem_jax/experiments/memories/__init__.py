"""MemLoRA as an experiment: dialogues, an expert of each operation, a table of assistants."""
