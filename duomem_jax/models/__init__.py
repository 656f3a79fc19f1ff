"""The decoder, its families, and weights from and to Hugging Face folders."""
