"""Write replies with guesses: each step scores several tokens, and keeps those that are right."""

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp

from duomem_jax.decode.draft import Guesser, Seen
from duomem_jax.decode.rows import Group, Held, Weights
from duomem_jax.decode.write import Style
from duomem_jax.models.cache import KVCache
from duomem_jax.models.model import Model


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class AheadState:
    """Replies under way; the state of the loop over steps.

    Attributes:
        place_B: int32, place in the piece of the token that each row chose last.
        going_B: bool, whether a row's reply continues after it.
        text_BS: int32, the tokens that each row holds, and behind them the one chosen last.
        x_BD: hidden state that it was chosen from.
        cache: what has been read in each row of the group.
        kept: what the guesser keeps.
        counted_2: int32, guesses so far, and the right ones among them.
    """

    place_B: jax.Array
    going_B: jax.Array
    text_BS: jax.Array
    x_BD: jax.Array
    cache: KVCache
    kept: Any
    counted_2: jax.Array

    def live(self, piece: int) -> jax.Array:
        """Whether a row has more to write in this piece (bool [B])."""
        return self.going_B & (self.place_B < piece)


def write_ahead(
    model: Model,
    style: Style,
    piece: int,
    guesser: Guesser,
    weights: Weights,
    held: Held,
    group: Group,
    text_BS: jax.Array,
    guessing: Any,
    kept: Any,
) -> tuple[Held, jax.Array, Any, jax.Array]:
    """What `write` writes, in fewer steps where guesses are right.

    Args:
        model: the decoder.
        style: how replies are written.
        piece: T.
        guesser: who guesses.
        weights: of the model and its adapter.
        held: of the rows, with room for `piece` tokens more in each; donated.
        group: the rows.
        text_BS: int32, the tokens that each row holds.
        guessing: the guesser's weights, or None.
        kept: what it keeps of the rows, or None; donated.

    Returns:
        What is held; tokens_BT, filled up with `style.eos_id`; what the guesser keeps; and how many
        guesses were made, and right (int32 [2]).
    """
    base, lora = weights
    head = model.head(base)
    rows_B, steps_Q = jnp.arange(len(group.rows_B)), jnp.arange(guesser.count + 1)

    def guess(state: AheadState, live_B: jax.Array) -> tuple[jax.Array, jax.Array, Any]:
        """read_BQ, the last token and guesses; how many to read; what the guesser keeps."""

        def choose(logits_BV: jax.Array, n: Any) -> jax.Array:
            return style.choose(logits_BV, group, state.place_B + n)

        at_B = state.cache.length_B
        seen = Seen(state.text_BS, at_B, live_B, choose)
        guesses_BQ, n_B, kept = guesser.guess(seen, guessing, state.kept)
        # An end is chosen and never read, and nothing is read beyond the piece.
        before_end_B = jnp.cumprod(guesses_BQ != style.eos_id, 1).sum(1)
        n_B = jnp.minimum(jnp.minimum(n_B, before_end_B), piece - 1 - state.place_B)
        read_BQ = jnp.concatenate([state.text_BS[rows_B, at_B][:, None], guesses_BQ], 1)
        return read_BQ, jnp.where(live_B, 1 + n_B, 0), kept

    def step(state: AheadState) -> AheadState:
        live_B = state.live(piece)
        read_BQ, n_new_B, kept = guess(state, live_B)
        x_BQD, cache = model.extend(base, state.cache, read_BQ, n_new_B, lora, group.adapter_B)
        place_BQ = state.place_B[:, None] + 1 + steps_Q
        chosen_BQ = jax.vmap(style.choose, (1, None, 1), 1)(head(x_BQD), group, place_BQ)
        # What comes after a wrong guess was scored behind a text that is not there.
        right_BQ = (chosen_BQ[:, :-1] == read_BQ[:, 1:]) & (steps_Q[1:] < n_new_B[:, None])
        right_B = jnp.cumprod(right_BQ, 1).sum(1)
        n_B, before_B = jnp.where(live_B, 1 + right_B, 0), state.cache.length_B
        ended_B = live_B & (chosen_BQ[rows_B, right_B] == style.eos_id)
        return AheadState(
            place_B=state.place_B + n_B,
            going_B=state.going_B & ~ended_B,
            text_BS=_with_tokens(state.text_BS, before_B + 1, chosen_BQ, n_B),
            x_BD=jnp.where(live_B[:, None], x_BQD[rows_B, right_B], state.x_BD),
            # Wrong guesses are taken back by the length; others will lie in their place.
            cache=cache.with_length(before_B + n_B),
            kept=kept,
            counted_2=state.counted_2
            + jnp.stack([jnp.maximum(n_new_B - 1, 0).sum(), jnp.where(live_B, right_B, 0).sum()]),
        )

    # The first token comes from the hidden state that the last read, or piece, left behind.
    cache, x_BD = group.gather(held)
    first_B = style.choose(head(x_BD), group, jnp.int32(0))
    going_B = group.active(held) & (first_B != style.eos_id)
    text_BS = _with_tokens(text_BS, group.length_B, first_B[:, None], jnp.ones_like(first_B))
    nothing_B, none_2 = jnp.zeros_like(first_B), jnp.zeros(2, jnp.int32)
    state = AheadState(nothing_B, going_B, text_BS, x_BD, cache, kept, none_2)
    state = jax.lax.while_loop(lambda state: state.live(piece).any(), step, state)

    steps_T = jnp.arange(piece)
    tokens_BT = state.text_BS[rows_B[:, None], group.length_B[:, None] + steps_T]
    tokens_BT = jnp.where(steps_T <= state.place_B[:, None], tokens_BT, style.eos_id)
    return group.scatter(held, state.cache, state.x_BD), tokens_BT, state.kept, state.counted_2


def _with_tokens(
    text_BS: jax.Array, at_B: jax.Array, tokens_BQ: jax.Array, n_B: jax.Array
) -> jax.Array:
    """A text whose rows have the first `n_B` of some tokens from `at_B` on."""
    steps_Q = jnp.arange(tokens_BQ.shape[1])
    at_BQ = jnp.where(steps_Q < n_B[:, None], at_B[:, None] + steps_Q, text_BS.shape[1])
    rows_B1 = jnp.arange(len(text_BS))[:, None]
    return text_BS.at[rows_B1, at_BQ].set(tokens_BQ, mode="drop")
