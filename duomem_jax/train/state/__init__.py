"""What changes in a run: state, step, optimizer, checkpoints."""
