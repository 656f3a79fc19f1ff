"""Objectives for a teacher with another tokenizer."""
