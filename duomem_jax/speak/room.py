"""How many conversations of what length a model has memory for, decided before it is loaded."""

import logging
from dataclasses import dataclass, replace

from duomem_jax.base.errors import UserError
from duomem_jax.decode.generator import rows_of_a_call
from duomem_jax.decode.pages import PAGE, first_pages
from duomem_jax.mesh.memory import usable_memory
from duomem_jax.models.cache import token_bytes
from duomem_jax.models.config import ModelConfig
from duomem_jax.models.model import Model
from duomem_jax.models.shapes import tree_bytes, weight_shapes
from duomem_jax.speak.protocol import LONGEST, SLOTS

SHORTEST = 1024  # tokens of a conversation at least, where there is no room for `LONGEST`

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Room:
    """Memory for the conversations of one model.

    Attributes:
        model: its name in an error.
        config: its shape.
        max_len: tokens that a conversation may have.
        free: bytes that caches may take; None where the device does not say.
        short: whether `max_len` is less than it would be with more memory.
        second: shape of another model that reads the same conversations, if there is one.
    """

    model: str
    config: ModelConfig
    max_len: int
    free: int | None = None
    short: bool = False
    second: ModelConfig | None = None

    @classmethod
    def beside(
        cls,
        model: str,
        config: ModelConfig,
        quantize: str,
        max_len: int,
        *,
        second: ModelConfig | None = None,
        more: int = 0,
    ) -> "Room":
        """What is left beside the weights of a model that is to be loaded.

        Args:
            model: its name in an error.
            config: its shape.
            quantize: how its kernels will be held.
            max_len: tokens of a conversation; 0: `LONGEST`, fewer where one such has no room.
            second: shape of another model that reads the same conversations.
            more: bytes of what is loaded beside these weights: a vision tower, those of that model.

        Raises:
            UserError: the weights or one conversation do not fit, or `max_len` is more than the
                model was made for.
        """
        # Less may be asked for, never more than the positions that the model was made for.
        if max_len > config.max_len:
            raise UserError(
                f"{model}: max_len {max_len} is more than the {config.max_len} tokens that it was "
                "made for; lower it"
            )
        usual = min(config.max_len, LONGEST)
        may_use = usable_memory()
        if may_use is None:
            return cls(model, config, max_len or usual, second=second)
        weights = weight_bytes(config, quantize) + more
        least = cls(model, config, min(max_len or SHORTEST, usual), second=second)
        if weights + least.most(1) > may_use:
            raise UserError(
                f"{model}: its weights take {mib(weights)} in {config.dtype}, a conversation of "
                f"{least.max_len:,} tokens {mib(least.most(1))}, and {mib(may_use)} of memory may "
                "be used; give dtype bfloat16, quantize int8 or nf4, a smaller max_len or another "
                "model"
            )
        room = cls(model, config, max_len or usual, may_use - weights, second=second)
        return room if max_len else room._shortened()

    def _shortened(self) -> "Room":
        tokens = self.max_len
        # Halved, so that a little more or less memory seldom changes it.
        while self._bytes(1, tokens) > (self.free or 0) and tokens > SHORTEST:
            tokens = max(tokens // 2, SHORTEST)
        return replace(self, max_len=tokens, short=tokens < self.max_len)

    def most(self, slots: int) -> int:
        """Bytes that so many conversations take when all have their full length.

        The rows of one call count twice, since a call works on a copy of theirs.
        """
        return self._bytes(slots, self.max_len)

    def _bytes(self, slots: int, max_len: int) -> int:
        return (slots + min(rows_of_a_call(), slots)) * max_len * self._token

    @property
    def _token(self) -> int:
        """Bytes of one token in the caches."""
        return sum(token_bytes(config) for config in (self.config, self.second) if config)

    def slots(self, asked: int | None = None, usual: int = SLOTS) -> int:
        """Conversations to hold at once; the choice is logged.

        Args:
            asked: what the user wants; None: `usual`, fewer where those have no room.
            usual: how many unless asked.

        Raises:
            UserError: there is no room for as many as were asked for.
        """
        slots = asked or usual
        if self.free is not None and self.most(slots) > self.free:
            rows = self.free // (self.max_len * self._token)
            # The rows of a call twice: that is all of them, where they are few.
            slots = max(1, rows // 2, rows - rows_of_a_call())
            if asked:
                raise UserError(
                    f"{self.model}: {asked:,} conversations of up to {self.max_len:,} tokens may "
                    f"take {mib(self.most(asked))}, and {mib(self.free)} are left beside its "
                    f"weights; lower slots to {slots}, or max_len"
                )
        pages = first_pages(self.config, slots, self.max_len, min(rows_of_a_call(), slots))
        log.info(
            f"{slots} conversations of up to {self.max_len:,} tokens: the cache starts at "
            f"{mib(pages * PAGE * self._token)} and may grow to "
            f"{mib(self.most(slots))}" + (f" of {mib(self.free)}" if self.free else "")
        )
        return slots


def weight_bytes(config: ModelConfig, quantize: str = "") -> int:
    """Bytes that the weights of a model will take."""
    return tree_bytes(weight_shapes(Model(config), config.dtype, quantize))


def mib(n_bytes: float) -> str:
    """A size as people read it."""
    return f"{n_bytes / 2**20:,.0f} MiB"
