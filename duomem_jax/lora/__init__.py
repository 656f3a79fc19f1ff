"""Adapters as plain trees: merge, stack, PEFT folders, a model opened with its adapter."""
