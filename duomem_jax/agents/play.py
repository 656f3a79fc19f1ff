"""How games are played."""

import dataclasses

from duomem_jax.base.errors import UserError

# What every published number of ours was measured with; training and play must agree on them.
SHOWN = 2  # memories shown before a game
MAX_NEW = 64  # tokens a reply may have: a thought and a command


@dataclasses.dataclass(frozen=True)
class Play:
    """How games are played."""

    slots: int = 32  # at once
    max_steps: int = 50  # commands after which a game is lost
    seed: int = 0  # of the player's choices

    def __post_init__(self) -> None:
        for name in ("slots", "max_steps"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}; give a whole number above 0")
