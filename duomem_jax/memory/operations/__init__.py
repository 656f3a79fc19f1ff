"""What is done to memories: typed operations, and the models that propose them."""
