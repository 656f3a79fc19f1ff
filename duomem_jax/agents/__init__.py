"""Play many games at once: retrieve, prompt, decode, step."""

from duomem_jax.agents.play import Play, Recall, Talk
from duomem_jax.agents.player import Player, open_policy
from duomem_jax.agents.policy import Policy
from duomem_jax.agents.rollout import play_games

__all__ = [
    "Play",
    "Player",
    "Policy",
    "Recall",
    "Talk",
    "open_policy",
    "play_games",
]
