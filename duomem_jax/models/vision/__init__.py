"""Models that see: a tower and a projector in front of any decoder, and pictures for them."""
