"""Losses on hidden states: the head is fused with the loss, chunk by chunk."""
