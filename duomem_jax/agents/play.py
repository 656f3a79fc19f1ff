"""How games are played, how players talk, and what they recall: options that others nest."""

from typing import Annotated

from annotated_types import Interval

from duomem_jax.base.ranges import Count, Few, Length, Seed, Temperature, options
from duomem_jax.memory.bank import MemoryBank
from duomem_jax.memory.embed import DEFAULT_EMBEDDER, make_embedder
from duomem_jax.speak.protocol import SLOTS

# What every published number of ours was measured with; training and play must agree on them. An
# adapter remembers other ones that it was trained with (`agents.manner`).
SHOWN = 2  # memories shown before a game
MAX_NEW = 64  # tokens a reply may have: a thought and a command

Shown = Annotated[int, Interval(ge=0, le=1000)]


@options
class Talk:
    """What a model is told at first, and how it replies."""

    # System message, or @FILE of it (@/dev/null for none). Empty: as the model was trained; @play
    # where it was not trained to play.
    system: str = ""
    max_new: Length | None = None  # tokens a reply may have; None: as it was trained, else 64
    temperature: Temperature = 0.0  # 0: the likeliest token

    @property
    def reply_tokens(self) -> int:
        """Tokens a reply may have, where no model has others to remember."""
        return MAX_NEW if self.max_new is None else self.max_new


@options
class Recall:
    """Which memories are shown before a game."""

    memory: str = ""  # folder of a memory bank, or a store with scripts; empty: none are
    k: Shown | None = None  # how many; None: as the model was trained, else 2
    embedder: str = DEFAULT_EMBEDDER  # must be the one the bank was embedded with

    @property
    def shown(self) -> int:
        """How many memories, where no model has another number to remember."""
        return SHOWN if self.k is None else self.k

    def open_bank(self) -> MemoryBank | None:
        """The bank, None where nothing is shown.

        Raises:
            UserError: it is missing, damaged, or of another embedder.
        """
        return MemoryBank.load(self.memory, make_embedder(self.embedder)) if self.memory else None


@options
class Play:
    """How games are played."""

    slots: Few | None = None  # at once; None: 32, or fewer where memory is short
    max_steps: Count = 50  # commands after which a game is lost
    seed: Seed = 0  # of the player's choices

    @property
    def at_once(self) -> int:
        """How many games, where memory is no matter."""
        return self.slots or SLOTS
