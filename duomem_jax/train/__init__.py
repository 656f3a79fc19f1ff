"""A training run: plan, weights, state, feed, loop, checkpoints, metrics, result."""
