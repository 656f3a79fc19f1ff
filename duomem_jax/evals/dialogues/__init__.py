"""Answers to questions about dialogues: how they are scored."""
