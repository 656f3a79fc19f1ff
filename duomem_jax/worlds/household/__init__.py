"""The household world of ALFWorld: engines, games, the expert, its words."""
