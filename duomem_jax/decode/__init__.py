"""Write replies for many conversations at once."""
