"""Several stages in a row: recipes, seeds, arms, the quick start."""
