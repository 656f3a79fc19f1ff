"""Won episodes to packed rows, the schema of rows on disk, and reading them as batches."""
