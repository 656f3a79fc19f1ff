"""Procedural memories: written from won episodes, kept in a bank, retrieved, maintained."""
