"""Many conversations at once, each kept in its own row of one key/value cache.

A turn reads the new tokens of every row, then writes a reply in every row. Rows are handled in
groups of a fixed size, so few shapes are compiled:

* reading goes in chunks, longest rest first: a few long prompts fill up with the short
  observations of other rows instead of making every row pay for their length;
* writing goes by length, so short conversations do not pay for the keys of long ones, and stops
  when the group's last reply ends.
"""

import time
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from duomem_jax.decode.steps import compile_part
from duomem_jax.models.config import DTYPES
from duomem_jax.models.decoder import for_decoding
from duomem_jax.models.model import Model
from duomem_jax.models.platform import platform

# (rows, tokens) of one call. On a CPU few rows keep their keys in a core's cache and short chunks
# waste little on padding; an accelerator wants its matrices full.
CPU_CALL, ACCELERATOR_CALL = (8, 32), (64, 128)
MIN_KEYS = 256  # tokens of the cache that a call looks at, at least


def rows_of_a_call() -> int:
    """Rows that a generator handles in one call on this device."""
    return _call_size()[0]


def _call_size() -> tuple[int, int]:
    return CPU_CALL if platform() == "cpu" else ACCELERATOR_CALL


class Generator:
    """Reads and writes turns of up to `slots` conversations; nothing is ever read twice.

    A row that wrote its reply holds the whole conversation but the end token of that reply,
    which is read together with the next turn.

    Attributes:
        slots: S, rows of the cache.
        max_len: tokens a conversation may have.
        max_new: tokens a reply may have, end token included.
        eos_id: the token that ends a reply.
        compile_seconds: spent so far on tracing and compiling.
    """

    def __init__(
        self,
        model: Model,
        base: Any,
        lora: Any = None,
        *,
        slots: int,
        max_len: int,
        eos_id: int,
        max_new: int,
        temperature: float = 0.0,
        group: int = 0,
        chunk: int = 0,
    ):
        """Set up an empty cache.

        Args:
            model: the decoder.
            base: its parameters.
            lora: adapter tree, a stack of them (`lora.tree.stack`), or None.
            slots: conversations held at once.
            max_len: tokens a conversation may have.
            eos_id: the token that ends a reply.
            max_new: tokens a reply may have; a longer one is cut and closed with `eos_id`.
            temperature: 0 takes the likeliest token.
            group: rows handled in one call; 0: what suits the device.
            chunk: tokens of a row read in one call; 0: what suits the device.
        """
        self.slots, self.max_len, self.max_new = slots, max_len, max_new
        self.compile_seconds = 0.0
        self._model, self.eos_id = model, eos_id
        trees = for_decoding(base), lora and for_decoding(lora)
        self._weights = jax.tree.map(jnp.asarray, trees)  # once, not at every call
        self._temperature = temperature
        rows, tokens = _call_size()
        self._group, self._chunk = min(group or rows, slots), chunk or tokens
        self._cache = model.init_cache(slots, max_len)["layers"]  # lengths are kept on the host
        self._length = np.zeros(slots, np.int32)
        stacked = any(leaf.ndim == 3 for leaf in jax.tree.leaves(self._weights[1]))
        self._adapter = np.zeros(slots, np.int32) if stacked else None
        config = model.config
        self._x_SD = jnp.zeros((slots, config.d_model), DTYPES[config.dtype])  # last hidden states
        self._open = np.zeros(slots, bool)  # the last reply's end token is not in the cache
        self._done = np.zeros(slots, np.int32)  # tokens that the row's reply has so far
        self._noise_S2 = np.zeros((slots, 2), np.uint32)  # seed, turn
        self._compiled: dict[tuple, Any] = {}

    def reset(self, slot: int, seed: int = 0, adapter: int = 0) -> None:
        """Empty a row for a new conversation.

        Args:
            slot: the row.
            seed: decides what it samples.
            adapter: which one of a stack it uses.
        """
        if self._adapter is not None:
            self._adapter[slot] = adapter
        self._length[slot], self._open[slot], self._noise_S2[slot] = 0, False, (seed, 0)

    def use(self, lora: Any) -> None:
        """Go on with another adapter of the same shape; rows must be reset before they are used."""
        self._weights = self._weights[0], jax.tree.map(jnp.asarray, for_decoding(lora))

    def fits(self, slot: int, n_new: int) -> bool:
        """Whether a row has room for `n_new` more tokens and the longest reply."""
        after = int(self._length[slot]) + int(self._open[slot]) + n_new + self.max_new
        return after <= self.max_len

    def extend(self, slot_tokens: Mapping[int, Sequence[int]]) -> dict[int, list[int]]:
        """Read new tokens in the named rows, then write one reply in each.

        Args:
            slot_tokens: token ids that follow what the row holds; at least one each.

        Returns:
            The reply of each row, its last token always `eos_id`.

        Raises:
            ValueError: a row has no new tokens, or no room for them and a reply.
        """
        self.read(slot_tokens)
        return self.write(slot_tokens)

    def read(self, slot_tokens: Mapping[int, Sequence[int]]) -> None:
        """Bring new tokens into the cache of the named rows, which then begin a reply.

        Raises:
            ValueError: a row has no new tokens, or no room for them and a reply.
        """
        for slot, tokens in slot_tokens.items():
            if not tokens or not self.fits(slot, len(tokens)):
                raise ValueError(f"slot {slot}: {len(tokens)} new tokens cannot be read")
        rest = {
            slot: [self.eos_id] * bool(self._open[slot]) + list(tokens)
            for slot, tokens in slot_tokens.items()
        }

        def urgency(slot: int) -> tuple[int, int]:
            return len(rest[slot]) // self._chunk, self._length[slot]

        while rest:
            slots = sorted(rest, key=urgency, reverse=True)[: self._group]
            tokens_RT = np.zeros((self._group, self._chunk), np.int32)
            n_new_R = np.zeros(self._group, np.int32)
            for row, slot in enumerate(slots):
                piece, rest[slot] = rest[slot][: self._chunk], rest[slot][self._chunk :]
                tokens_RT[row, : len(piece)] = piece
                n_new_R[row] = len(piece)
                if not rest[slot]:
                    del rest[slot]
            state = self._weights, self._cache, self._x_SD, *self._rows(slots)
            self._length[slots] += n_new_R[: len(slots)]
            args = *state, tokens_RT, n_new_R, self._pad(slots, self.slots)
            self._cache, self._x_SD = self._run("read", int(self._length[slots].max()), args, ())
        for slot in slot_tokens:
            self._open[slot], self._done[slot] = False, 0

    def write(self, slots: Collection[int], piece: int = 0) -> dict[int, list[int]]:
        """Write on in rows that have read a turn, or whose reply has not ended yet.

        In pieces a reply is what it is at once; between them another row's ended reply can make
        room for a new conversation.

        Args:
            slots: the rows.
            piece: tokens written at most in each; 0: the whole reply.

        Returns:
            What each row wrote now; a reply has ended when its last token is `eos_id`.
        """
        piece = min(piece or self.max_new, self.max_new)
        by_length = sorted(slots, key=lambda slot: self._length[slot])
        groups = [by_length[i : i + self._group] for i in range(0, len(slots), self._group)]
        written = []
        for group in groups:
            state = self._weights, self._cache, self._x_SD, *self._rows(group)
            noise, done = self._noise_S2[group], self._done[group]
            args = *state, self._pad(noise), self._pad(done), self._pad(group, self.slots)
            longest = int(self._length[group].max()) + piece
            fixed = self.eos_id, self.max_new, self._temperature, piece
            self._cache, self._x_SD, tokens_RT = self._run("write", longest, args, fixed)
            written.append(tokens_RT)  # read below, when all groups are under way
        replies = {}
        for group, tokens_RT in zip(groups, written, strict=True):
            for slot, tokens in zip(group, np.asarray(tokens_RT).tolist(), strict=False):
                replies[slot] = self._take(slot, tokens)
        return {slot: replies[slot] for slot in slots}

    def _take(self, slot: int, tokens: list[int]) -> list[int]:
        """What a row wrote, up to its end token, which is not in the cache."""
        ended = self.eos_id in tokens
        if ended:
            tokens = tokens[: tokens.index(self.eos_id) + 1]
            self._open[slot] = True
            self._noise_S2[slot, 1] += 1
        self._length[slot] += len(tokens) - ended
        self._done[slot] += len(tokens)
        return tokens

    def _rows(self, slots: Sequence[int]) -> tuple[np.ndarray, np.ndarray | None]:
        """Length and adapter of a group's rows."""
        adapter = None if self._adapter is None else self._pad(self._adapter[slots])
        return self._pad(self._length[slots]), adapter

    def _pad(self, values, fill: int = 0) -> np.ndarray:
        """Values of a group as an array of the full group's length."""
        values = np.asarray(values, getattr(values, "dtype", np.int32))
        rest = [(0, self._group - len(values))] + [(0, 0)] * (values.ndim - 1)
        return np.pad(values, rest, constant_values=fill)

    def _run(self, name: str, tokens: int, args: tuple, fixed: tuple):
        """Call a part, compiled once for each size of cache to look at."""
        # A power of two: each size has to be compiled, which takes as long as many games.
        keys = min(max(MIN_KEYS, 1 << (tokens - 1).bit_length()), self.max_len)
        part = name, *fixed, keys
        if part not in self._compiled:
            start = time.monotonic()
            self._compiled[part] = compile_part(name, (self._model, *fixed, keys), args)
            self.compile_seconds += time.monotonic() - start
        return self._compiled[part](*args)
