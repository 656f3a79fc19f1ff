"""A text-only expert, and where it expects things to be."""
