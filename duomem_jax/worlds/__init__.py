"""Text worlds behind one interface: reset, step, admissible commands."""

from duomem_jax.base.errors import UserError
from duomem_jax.worlds.household.engine.world import World
from duomem_jax.worlds.household.game import TASK_TYPES, Game, TextEnv
from duomem_jax.worlds.household.load import GameSet, load_games

__all__ = ["ENGINES", "TASK_TYPES", "Game", "GameSet", "TextEnv", "World", "load_games", "make_env"]


def _textworld(game: Game) -> TextEnv:
    from duomem_jax.worlds.household.textworld import TextWorldEnv

    return TextWorldEnv(game)


# One line per engine: anything that turns a Game into a TextEnv.
ENGINES = {
    "fast": World,
    "textworld": _textworld,
}


def make_env(game: Game, engine: str = "fast") -> TextEnv:
    """Open `game` in one of `ENGINES`.

    Raises:
        UserError: an unknown engine, its extra is not installed, or the game cannot be played.
    """
    if engine not in ENGINES:
        raise UserError(f"engine: no engine {engine!r}; choose one of {', '.join(ENGINES)}")
    return ENGINES[engine](game)
