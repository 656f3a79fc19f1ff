"""What is between two stages: episodes, memories, results, and the datasets that hold them."""
