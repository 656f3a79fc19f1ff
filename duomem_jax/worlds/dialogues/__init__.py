"""Conversations of two people over many sessions, and questions about them."""
