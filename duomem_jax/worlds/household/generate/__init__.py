"""New household games in ALFWorld's format, any number of them, close to the real ones."""

from duomem_jax.worlds.household.generate.files import write_games
from duomem_jax.worlds.household.generate.games import generate_games

__all__ = ["generate_games", "write_games"]
