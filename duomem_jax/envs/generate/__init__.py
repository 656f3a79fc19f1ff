"""New household games in ALFWorld's format, as many as wanted, close to the real ones."""

from duomem_jax.envs.generate.files import write_games
from duomem_jax.envs.generate.games import generate_games
from duomem_jax.envs.generate.statistics import ROOMS

__all__ = ["ROOMS", "generate_games", "write_games"]
