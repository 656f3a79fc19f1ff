"""Chats as tokens: tokenizers, templates, turns, the bytes of tokens, alignment."""
