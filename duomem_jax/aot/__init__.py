"""What a step would need and cost on a TPU, from its compiled program, without the TPU."""
