"""Nothing of the field: errors, files, logs, field types, shards, progress, processes, prompts."""
