"""Datasets: resumable, shardable ArrayRecord folders with a manifest."""
