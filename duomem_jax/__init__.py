"""Distil a large teacher agent into a small student: memories in context, LoRA in parameters."""

import os

# transformers reads tokenizers here; that torch is missing is no news to anybody.
os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
