"""Histories as pictures, beside as many tokens of their text."""
