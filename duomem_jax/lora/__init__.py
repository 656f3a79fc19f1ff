"""Adapters as plain trees: init, merge, PEFT folders."""
