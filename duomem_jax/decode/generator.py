"""Many conversations at once, each kept in its own row of one key/value cache.

A turn reads the new tokens of every row, then writes a reply in every row. Rows are handled in
groups of a fixed size, so few shapes are compiled:

* reading goes in chunks, longest rest first: a few long prompts fill up with the short
  observations of other rows instead of making every row pay for their length;
* writing goes by length, so short conversations do not pay for the keys of long ones, and stops
  when the group's last reply ends.
"""

import functools
from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from duomem_jax.decode.programs import Programs, compile_read, compile_write
from duomem_jax.decode.rows import Rows, Weights
from duomem_jax.decode.write import Style
from duomem_jax.models.config import DTYPES
from duomem_jax.models.model import Model
from duomem_jax.models.platform import platform
from duomem_jax.models.trees import AdapterTree, Params, for_decoding

# (rows, tokens) of one call. On a CPU few rows keep their keys in a core's cache and short chunks
# waste little on padding; an accelerator wants its matrices full.
CPU_CALL, ACCELERATOR_CALL = (8, 32), (64, 128)


class Generator:
    """Reads and writes turns of up to `slots` conversations; nothing is ever read twice.

    A row that wrote its reply holds the whole conversation but the end token of that reply,
    which is read together with the next turn.

    Attributes:
        slots: Y, conversations held at once.
        max_len: tokens a conversation may have.
        max_new: tokens a reply may have, end token included.
    """

    def __init__(
        self,
        model: Model,
        base: Params,
        lora: AdapterTree | None = None,
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
            slots: Y, conversations held at once.
            max_len: tokens a conversation may have.
            eos_id: the token that ends a reply.
            max_new: tokens a reply may have; a longer one is cut and closed with `eos_id`.
            temperature: 0 takes the likeliest token.
            group: B, rows handled in one call; 0: what suits the device.
            chunk: T, tokens of a row read in one call; 0: what suits the device.
        """
        self.slots, self.max_len, self.max_new = slots, max_len, max_new
        self._model, self._eos = model, eos_id
        # Onto the device once, not at every call.
        self._weights = jax.tree.map(
            jnp.asarray, Weights(for_decoding(base), lora and for_decoding(lora))
        )
        call = CPU_CALL if platform() == "cpu" else ACCELERATOR_CALL
        self._group, self._chunk = min(group or call[0], slots), chunk or call[1]
        stacked = any(leaf.ndim == 3 for leaf in jax.tree.leaves(self._weights.lora))
        self._rows = Rows.empty(model, slots, max_len, stacked=stacked)
        style = Style(eos_id, max_new, temperature)
        self._reader = Programs(functools.partial(compile_read, model), max_len)
        self._writer = Programs(functools.partial(compile_write, model, style), max_len)

    @property
    def compile_seconds(self) -> float:
        """Spent so far on tracing and compiling."""
        return self._reader.seconds + self._writer.seconds

    def reset(self, slot: int, seed: int = 0, adapter: int = 0) -> None:
        """Empty a row for a new conversation.

        Args:
            slot: the row.
            seed: decides what it samples.
            adapter: which one of a stack it uses.
        """
        self._rows.reset(slot, seed, adapter)

    def use(self, lora: AdapterTree) -> None:
        """Go on with another adapter of the same shape; rows must be reset before they are used."""
        lora = jax.tree.map(jnp.asarray, for_decoding(lora))
        self._weights = self._weights._replace(lora=lora)

    def fits(self, slot: int, n_new: int) -> bool:
        """Whether a row has room for `n_new` more tokens and the longest reply."""
        held = int(self._rows.length_Y[slot]) + int(self._rows.open_Y[slot])
        return held + n_new + self.max_new <= self.max_len

    def extend(self, slot_tokens: Mapping[int, Sequence[int]]) -> dict[int, list[int]]:
        """Read new tokens in the named rows, then write one reply in each.

        Args:
            slot_tokens: token ids that follow what the row holds; at least one each.

        Returns:
            The reply of each row, its last token always `eos_id`.

        Raises:
            ValueError: a row has no new tokens, or no room for them and a reply.
        """
        for slot, tokens in slot_tokens.items():
            if not tokens or not self.fits(slot, len(tokens)):
                raise ValueError(f"slot {slot}: {len(tokens)} new tokens cannot be read")
        x_YD = self._read(slot_tokens)
        by_length = sorted(slot_tokens, key=lambda slot: self._rows.length_Y[slot])
        replies = self._write(by_length, x_YD)
        for slot, reply in replies.items():
            self._rows.close_turn(slot, reply)
        return {slot: replies[slot] for slot in slot_tokens}

    def _read(self, slot_tokens: Mapping[int, Sequence[int]]) -> jax.Array:
        """Bring the new tokens into the cache; return x_YD, the last hidden state of each row."""
        rows, config = self._rows, self._model.config
        rest = {slot: self._unread(slot, tokens) for slot, tokens in slot_tokens.items()}

        def urgency(slot: int) -> tuple[int, int]:
            return len(rest[slot]) // self._chunk, rows.length_Y[slot]

        x_YD = jnp.zeros((self.slots, config.d_model), DTYPES[config.dtype])
        while rest:
            slots = sorted(rest, key=urgency, reverse=True)[: self._group]
            group = rows.group(slots, self._group)
            tokens_BT, n_new_B = self._next_chunk(rest, slots)
            rows.length_Y[slots] += n_new_B[: len(slots)]
            args = self._weights, rows.layers, x_YD, group, tokens_BT, n_new_B
            rows.layers, x_YD = self._reader(int(rows.length_Y[slots].max()), *args)
        return x_YD

    def _next_chunk(
        self, rest: dict[int, list[int]], slots: Sequence[int]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Take a chunk off what some rows have yet to read: tokens_BT, and n_new_B of them."""
        tokens_BT = np.zeros((self._group, self._chunk), np.int32)
        n_new_B = np.zeros(self._group, np.int32)
        for place, slot in enumerate(slots):
            piece, rest[slot] = rest[slot][: self._chunk], rest[slot][self._chunk :]
            tokens_BT[place, : len(piece)] = piece
            n_new_B[place] = len(piece)
            if not rest[slot]:
                del rest[slot]
        return tokens_BT, n_new_B

    def _unread(self, slot: int, tokens: Sequence[int]) -> list[int]:
        """`tokens`, behind the end of the row's last reply where that is not in the cache yet."""
        return [self._eos, *tokens] if self._rows.open_Y[slot] else list(tokens)

    def _write(self, slots: Sequence[int], x_YD: jax.Array) -> dict[int, list[int]]:
        """The replies of some rows, written in groups, in the given order."""
        rows, written = self._rows, []
        groups = [slots[i : i + self._group] for i in range(0, len(slots), self._group)]
        for group in groups:
            longest = int(rows.length_Y[group].max()) + self.max_new
            args = self._weights, rows.layers, x_YD, rows.group(group, self._group)
            rows.layers, tokens_BT = self._writer(longest, *args)
            written.append(tokens_BT)  # not looked at yet: the next group need not wait for it
        replies = {}
        for group, tokens_BT in zip(groups, written, strict=True):
            # Idle places are at the end, beyond the group's rows.
            for slot, reply in zip(group, np.asarray(tokens_BT).tolist(), strict=False):
                replies[slot] = reply[: reply.index(self._eos) + 1]
        return replies
