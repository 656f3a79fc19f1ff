"""What lies between two stages: episodes, memories, results, and the datasets that hold them."""
