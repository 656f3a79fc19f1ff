"""How games are played, how players talk, and what they recall: options that others nest."""

import dataclasses

from duomem_jax.base.errors import UserError
from duomem_jax.memory.bank import MemoryBank
from duomem_jax.memory.embed import DEFAULT_EMBEDDER, make_embedder

# What every published number of ours was measured with; training and play must agree on them.
SHOWN = 2  # memories shown before a game
MAX_NEW = 64  # tokens a reply may have: a thought and a command


@dataclasses.dataclass(frozen=True)
class Talk:
    """What a model is told at first, and how it replies."""

    system: str = ""  # system message, or @FILE of it; empty: none, for openai:NAME @play
    max_new: int = MAX_NEW  # tokens a reply may have
    temperature: float = 0.0  # 0: the likeliest token


@dataclasses.dataclass(frozen=True)
class Recall:
    """Which memories are shown before a game."""

    memory: str = ""  # folder of a memory bank; empty: none are
    k: int = SHOWN  # how many
    embedder: str = DEFAULT_EMBEDDER  # must be the one the bank was embedded with

    def open_bank(self) -> MemoryBank | None:
        """The bank, None where nothing is shown.

        Raises:
            UserError: it is missing, damaged, or of another embedder.
        """
        return MemoryBank.load(self.memory, make_embedder(self.embedder)) if self.memory else None


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
