"""Where stored episodes were played."""

from duomem_jax.base.errors import UserError
from duomem_jax.records.played import read_episodes
from duomem_jax.worlds import open_world
from duomem_jax.worlds.base import World


def world_of(episodes: str) -> World:
    """The world that a folder of episodes was played in; all of them are from one.

    Raises:
        UserError: no such episodes, none in the folder, or from an unknown world.
    """
    stored = read_episodes(episodes)
    if not len(stored):
        raise UserError(f"{episodes}: no episode; run `duomem play` again in another folder")
    # The world is part of the folder's config, so the first episode speaks for all.
    return open_world(stored[0].world)
