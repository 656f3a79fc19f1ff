"""Score agents on games: result rows, intervals, paired tests."""
