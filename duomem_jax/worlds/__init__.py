"""Text worlds behind one interface, by name."""

from collections.abc import Callable
from pkgutil import resolve_name

from duomem_jax.base.errors import UserError
from duomem_jax.worlds.base import Environment, Move, RulePlayer, Step, Task, World

__all__ = [
    "DEFAULT",
    "WORLDS",
    "Environment",
    "Move",
    "RulePlayer",
    "Step",
    "Task",
    "World",
    "open_world",
]


def _lazy(place: str) -> Callable[[str], World]:
    """The world at `module:class`, imported when it is first opened: some need much."""
    return lambda engine: resolve_name(place)(engine)


# One line per world: its name, and what makes it of the name of an engine ("": its default).
WORLDS: dict[str, Callable[[str], World]] = {
    "household": _lazy("duomem_jax.worlds.household.world:Household"),
}
DEFAULT = next(iter(WORLDS))


def open_world(name: str = DEFAULT, engine: str = "") -> World:
    """Make a world of `WORLDS`.

    Raises:
        UserError: there is no such world, or it has no such engine.
    """
    if name not in WORLDS:
        raise UserError(f"world: no world {name!r}; choose one of {', '.join(WORLDS)}")
    return WORLDS[name](engine)
