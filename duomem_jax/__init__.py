"""Distil a large teacher agent into a small student: memories in context, LoRA in parameters."""

import os

# Set before transformers is imported, which would otherwise report that torch is missing: it is
# here for tokenizers, configs and templates, which need none.
os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
