"""Distil a large teacher agent into a small student: memories in context, LoRA in parameters."""
