"""The memorization audit."""
