"""Nothing of the field: errors, files, progress, processes, prompts."""
