"""Many conversations at once, each kept in a row of its own, whose cache grows with it.

A turn reads the new tokens of every row, then writes a reply in every row. Rows are handled in
groups of a fixed size, so few shapes are compiled:

* reading goes in chunks (`Reader`);
* writing goes by length, so short conversations do not pay for the keys of long ones, and stops
  when the group's last reply ends. Constrained replies have groups of their own.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from duomem_jax.decode.advance import advance
from duomem_jax.decode.ahead import write_ahead
from duomem_jax.decode.chunks import NOTHING_SHOWN, Looked
from duomem_jax.decode.constrained import ConstrainedReply, Lengths, Step, write_constrained
from duomem_jax.decode.draft import Draft, Drafter, Guesses
from duomem_jax.decode.grammar import Constraint
from duomem_jax.decode.programs import Programs, Recipe, writing_options
from duomem_jax.decode.reader import Reader
from duomem_jax.decode.rows import Held, Rows, Weights
from duomem_jax.decode.write import Style, write
from duomem_jax.models.model import Model
from duomem_jax.models.platform import platform
from duomem_jax.models.trees import AdapterTree, Params, for_decoding

# (rows, tokens) of one call. On a CPU few rows keep their keys in a core's cache and short chunks
# waste little on padding; an accelerator wants its matrices full.
CPU_CALL, ACCELERATOR_CALL = (8, 32), (64, 128)


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
        slots: conversations held at once.
        max_len: tokens a conversation may have.
        max_new: tokens a reply may have unless its row says otherwise, end token included.
        eos_id: the token that ends a reply.
        guesses: of the tokens written so far.
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
        ends: Collection[int] = (),
        draft: Draft | None = None,
        group: int = 0,
        chunk: int = 0,
    ):
        """Set up rows without a conversation, and a cache that has room for little more.

        Args:
            model: the decoder.
            base: its parameters.
            lora: adapter tree, a stack of them (`lora.tree.stack`), or None.
            slots: conversations held at once.
            max_len: tokens a conversation may have.
            eos_id: the token that ends a reply.
            max_new: tokens a reply may have unless its row says otherwise; a longer one is cut and
                closed with `eos_id`.
            temperature: the same of its sampling; 0 takes the likeliest token.
            ends: further tokens that end a reply, which is then closed with `eos_id`.
            draft: who guesses tokens ahead; no reply depends on it. Constrained replies are written
                without.
            group: B, rows handled in one call; 0: what suits the device.
            chunk: T, tokens of a row read in one call; 0: what suits the device.
        """
        self.slots, self.max_len, self.max_new = slots, max_len, max_new
        self.eos_id = eos_id
        # Onto the device once, not at every call.
        self._weights = jax.tree.map(
            jnp.asarray, Weights(for_decoding(base), lora and for_decoding(lora))
        )
        rows, tokens = _call_size()
        self._group = min(group or rows, slots)
        self._rows = Rows.empty(model, slots, max_len, together=self._group, weights=self._weights)
        self._rows.limit[:], self._rows.temperature[:] = max_new, temperature
        self._model, self._temperature, self._ends = model, temperature, tuple(ends)
        self._constrained: dict[int, ConstrainedReply] = {}
        call = {"together": self._group, "chunk": chunk or tokens}
        self._reader = Reader(model, self._rows, **call)
        self._drafter = draft.beside(self._rows, **call) if draft else Drafter(None, self._rows)
        self.guesses = Guesses()
        # By the tokens of a piece and the temperature; steps of constrained replies by the latter.
        self._writers: dict[tuple[int, float], Programs] = {}
        self._steppers: dict[tuple[float, tuple[tuple[str, str], ...]], Programs] = {}

    @property
    def compile_seconds(self) -> float:
        """Spent so far on tracing and compiling."""
        programs = self._reader.programs, *self._writers.values(), *self._steppers.values()
        beside = self._rows.pages.seconds + self._drafter.seconds
        return sum(p.seconds for p in programs) + beside

    def reset(
        self,
        slot: int,
        seed: int = 0,
        adapter: int = 0,
        *,
        max_new: int = 0,
        temperature: float | None = None,
    ) -> None:
        """Empty a row for a new conversation.

        Args:
            slot: the row.
            seed: decides what it samples.
            adapter: which one of a stack it uses.
            max_new: tokens a reply may have; 0: the generator's.
            temperature: of its sampling; None: the generator's.
        """
        self._constrained.pop(slot, None)
        self._drafter.reset(slot)
        self._rows.reset(
            slot,
            seed,
            adapter,
            limit=max_new or self.max_new,
            temperature=self._temperature if temperature is None else temperature,
        )

    def constrain(self, slot: int, constraint: Constraint) -> None:
        """Limit the next reply of a row, whose turn has been read, to a grammar."""
        ends = frozenset({self.eos_id, *self._ends})
        limit = int(self._rows.limit[slot])
        self._constrained[slot] = ConstrainedReply(constraint, limit, ends)

    def complete(self, slot: int) -> bool:
        """Whether a row's constrained reply, which has ended, satisfies its grammar."""
        return self._constrained[slot].complete

    def use(self, lora: AdapterTree) -> None:
        """Go on with another adapter of the same shape; rows must be reset before they are used."""
        lora = jax.tree.map(jnp.asarray, for_decoding(lora))
        self._weights = self._weights._replace(lora=lora)

    def fits(self, slot: int, n_new: int) -> bool:
        """Whether a row has room for `n_new` more tokens and the longest reply."""
        # An open row has one token more to read than its turn: the end of its last reply.
        held = int(self._rows.length[slot]) + int(self._rows.open[slot])
        return held + n_new + int(self._rows.limit[slot]) <= self.max_len

    def extend(
        self,
        slot_tokens: Mapping[int, Sequence[int]],
        pictures: Mapping[int, Looked] = NOTHING_SHOWN,
    ) -> dict[int, list[int]]:
        """Read new tokens in the named rows, then write one reply in each.

        Args:
            slot_tokens: token ids that follow what the row holds; at least one each.
            pictures: among these tokens, of rows that are shown any.

        Returns:
            The reply of each row, its last token always `eos_id`.

        Raises:
            ValueError: a row has no new tokens, or no room for them and a reply.
        """
        self.read(slot_tokens, pictures)
        return self.write(slot_tokens)

    def read(
        self,
        slot_tokens: Mapping[int, Sequence[int]],
        pictures: Mapping[int, Looked] = NOTHING_SHOWN,
    ) -> None:
        """Bring new tokens into the cache of the named rows, which then begin a reply.

        Args:
            slot_tokens: token ids that follow what the row holds; at least one each.
            pictures: among these tokens, of rows that are shown any.

        Raises:
            ValueError: a row has no new tokens, or no room for them and a reply.
        """
        # All are checked before any is read, so that a refusal leaves every row as it was.
        for slot, tokens in slot_tokens.items():
            if not tokens or not self.fits(slot, len(tokens)):
                raise ValueError(f"slot {slot}: {len(tokens)} new tokens cannot be read")
        late = {slot: [self.eos_id] if self._rows.open[slot] else [] for slot in slot_tokens}
        self._reader.read(
            self._weights,
            {slot: [*late[slot], *tokens] for slot, tokens in slot_tokens.items()},
            {slot: shown.behind(len(late[slot])) for slot, shown in pictures.items()},
        )
        self._drafter.read([*slot_tokens])
        for slot in slot_tokens:
            self._rows.begin_reply(slot)
            self._constrained.pop(slot, None)

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
        rows = self._rows
        piece = piece or (int(rows.limit[[*slots]].max()) if slots else 0)
        written: list[tuple[list[int], jax.Array, jax.Array | None]] = []
        replies: dict[int, list[int]] = {}
        for group in self._groups([s for s in slots if s not in self._constrained]):
            # Read below, when all groups are under way.
            written.append((group, *self._write_free(group, piece)))
        for group in self._groups([s for s in slots if s in self._constrained]):
            replies |= self._write_constrained(group, piece)
        for group, tokens_BT, counted_2 in written:
            if counted_2 is not None:
                self.guesses.add(*np.asarray(counted_2).tolist())
            # Idle places are at the end, beyond the group's rows.
            for slot, tokens in zip(group, np.asarray(tokens_BT).tolist(), strict=False):
                replies[slot] = self._take(slot, tokens)
        return {slot: replies[slot] for slot in slots}

    def _groups(self, slots: Collection[int]) -> Iterator[list[int]]:
        """Rows that are written together: of one temperature, and of about one length."""
        rows = self._rows
        for temperature in sorted({float(rows.temperature[slot]) for slot in slots}):
            alike = [slot for slot in slots if rows.temperature[slot] == temperature]
            # A group looks at as many keys as its longest row needs.
            by_length = sorted(alike, key=lambda slot: rows.length[slot])
            for i in range(0, len(by_length), self._group):
                yield by_length[i : i + self._group]

    def _make_room(self, group: Sequence[int], piece: int) -> tuple[int, Held]:
        """(keys, what is held) for a call that adds up to `piece` tokens to each row."""
        rows = self._rows
        # Room for the whole piece: the host does not see the rows grow meanwhile.
        for slot in group:
            rows.pages.reserve(slot, rows.reach(slot, piece))
        keys = rows.pages.keys(int(rows.length[group].max()) + piece)
        return keys, rows.take(group, self._group, keys)

    def _write_free(self, group: Sequence[int], piece: int) -> tuple[jax.Array, jax.Array | None]:
        """tokens_BT, and how many guesses were made, and right; None where nobody guesses."""
        rows, drafter = self._rows, self._drafter
        keys, held = self._make_room(group, piece)
        args = self._weights, held, rows.group(group, self._group)
        programs = self._writer(piece, group)
        counted_2 = None
        if drafter.guesser is None:
            held, tokens_BT = programs(keys, *args)
        else:
            drawn = drafter.take(group, piece, self._group, keys)
            held, tokens_BT, kept, counted_2 = programs(keys, *args, *drawn)
            drafter.put(group, piece, kept)
        rows.put(group, rows.length[group], piece, held)
        return tokens_BT, counted_2

    def _write_constrained(self, group: Sequence[int], piece: int) -> dict[int, list[int]]:
        rows = self._rows
        keys, held = self._make_room(group, piece)
        temperature = float(rows.temperature[group[0]])

        def step(longest: int) -> Step:
            programs = self._stepper(temperature, longest)
            return lambda held, *args: programs((keys, longest), self._weights, held, *args)

        replies = {place: self._constrained[slot] for place, slot in enumerate(group)}
        held, written = write_constrained(
            replies,
            held,
            rows.group(group, self._group),
            piece,
            vocabulary=self._model.config.vocab_size,
            lengths=Lengths.of(self._group),
            steps=step,
        )
        rows.put(group, rows.length[group], piece, held)
        found = {}
        for place, slot in enumerate(group):
            tokens, reply = written[place], replies[place]
            ended = reply.ended and not reply.waiting
            found[slot] = [*tokens, self.eos_id] if ended else tokens
            rows.wrote(slot, found[slot], ended=ended)
        return found

    def _writer(self, piece: int, group: Sequence[int]) -> Programs:
        temperature = float(self._rows.temperature[group[0]])
        if (piece, temperature) not in self._writers:
            fixed = self._model, Style(self.eos_id, temperature, self._ends), piece
            # The same options for both, so that they score alike.
            recipe = Recipe(write, fixed, donated=(1,), options=writing_options())
            if (guesser := self._drafter.guesser) is not None:
                # Argument 5 is what the guesser keeps.
                recipe = replace(
                    recipe, function=write_ahead, fixed=(*fixed, guesser), donated=(1, 5)
                )
            self._writers[piece, temperature] = Programs(recipe)
        return self._writers[piece, temperature]

    def _stepper(self, temperature: float, longest: int) -> Programs:
        """The step of constrained replies that reads so many tokens of a row."""
        # Several tokens are read as a prompt's chunk is, one is written as any other.
        options = writing_options() if longest == 1 else ()
        if (temperature, options) not in self._steppers:
            fixed = self._model, Style(self.eos_id, temperature, self._ends)
            recipe = Recipe(advance, fixed, donated=(1,), options=options)
            self._steppers[temperature, options] = Programs(recipe)
        return self._steppers[temperature, options]

    def _take(self, slot: int, tokens: list[int]) -> list[int]:
        """What a row wrote, up to its end token."""
        # Behind the first end token there is only filling, up to the size of the piece.
        ended = self.eos_id in tokens
        if ended:
            tokens = tokens[: tokens.index(self.eos_id) + 1]
        self._rows.wrote(slot, tokens, ended=ended)
        self._drafter.wrote(slot)
        return tokens
