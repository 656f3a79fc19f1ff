"""How games are played, how players talk, and what they recall: options that others nest."""

from typing import Annotated

from annotated_types import Interval

from duomem_jax.base.ranges import Count, Few, Length, Seed, Temperature, options
from duomem_jax.memory.bank import MemoryBank
from duomem_jax.memory.embed import DEFAULT_EMBEDDER, make_embedder

# What every published number of ours was measured with; training and play must agree on them.
SHOWN = 2  # memories shown before a game
MAX_NEW = 64  # tokens a reply may have: a thought and a command

Shown = Annotated[int, Interval(ge=0, le=1000)]


@options
class Talk:
    """What a model is told at first, and how it replies."""

    system: str = ""  # system message, or @FILE of it; empty: none, for openai:NAME @play
    max_new: Length = MAX_NEW  # tokens a reply may have
    temperature: Temperature = 0.0  # 0: the likeliest token


@options
class Recall:
    """Which memories are shown before a game."""

    memory: str = ""  # folder of a memory bank; empty: none are
    k: Shown = SHOWN  # how many
    embedder: str = DEFAULT_EMBEDDER  # must be the one the bank was embedded with

    def open_bank(self) -> MemoryBank | None:
        """The bank, None where nothing is shown.

        Raises:
            UserError: it is missing, damaged, or of another embedder.
        """
        return MemoryBank.load(self.memory, make_embedder(self.embedder)) if self.memory else None


@options
class Play:
    """How games are played."""

    slots: Few = 32  # at once
    max_steps: Count = 50  # commands after which a game is lost
    seed: Seed = 0  # of the player's choices
