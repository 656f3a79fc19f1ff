"""Write replies in some rows, token by token; in pieces they are what they would be at once."""

import dataclasses
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from duomem_jax.decode.rows import Group, Held, Weights
from duomem_jax.models.cache import KVCache
from duomem_jax.models.model import Model


@dataclass(frozen=True)
class Style:
    """How replies are written; static.

    Attributes:
        eos_id: the token that ends a reply.
        temperature: of the sampling; 0 takes the likeliest token.
        ends: further tokens that end a reply; `eos_id` is written in their place.
    """

    eos_id: int
    temperature: float
    ends: tuple[int, ...] = ()

    def choose(self, logits_BV: jax.Array, group: Group, step: jax.Array) -> jax.Array:
        """The token of each row at place `step` of a piece; the end at the reply's last place.

        Args:
            logits_BV: of the token.
            group: the rows.
            step: int32, one for all rows or [B].
        """
        # Counted from the start of the reply, so that pieces neither change what is drawn nor where
        # the limit lies.
        place_B = group.done_B + step
        token_B = choose_token(logits_BV, group.noise_B2, place_B, self.temperature)
        # What a later turn reads behind the reply is what training saw there, whichever it was.
        if self.ends:
            token_B = jnp.where(jnp.isin(token_B, jnp.array(self.ends)), self.eos_id, token_B)
        # Forced at the limit: every reply ends with the same token, and none outgrows the room that
        # `Generator.fits` has promised.
        return jnp.where(place_B == group.limit_B - 1, self.eos_id, token_B).astype(jnp.int32)


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class ReplyState:
    """Replies under way; the state of the loop over tokens.

    Attributes:
        step: int32 scalar, place in the piece of the token that was chosen last.
        token_B: int32, that token of each row. The cache does not hold it yet.
        active_B: bool, whether a row's reply continues after it.
        tokens_BT: int32, the piece so far, the rest filled with the end token.
        x_BD: hidden state that the token was chosen from.
        cache: what has been read in each row of the group.
    """

    step: jax.Array
    token_B: jax.Array
    active_B: jax.Array
    tokens_BT: jax.Array
    x_BD: jax.Array
    cache: KVCache

    def chose(self, step: jax.Array, token_B: jax.Array, eos_id: int) -> "ReplyState":
        """Take down the tokens chosen for place `step`; rows that had ended stay as they are."""
        written_B = jnp.where(self.active_B, token_B, eos_id)
        return dataclasses.replace(
            self,
            step=step,
            token_B=token_B,
            active_B=self.active_B & (token_B != eos_id),
            # Past the piece's end the token is dropped: the next piece chooses it again, from x.
            tokens_BT=self.tokens_BT.at[:, step].set(written_B, mode="drop"),
        )


def write(
    model: Model,
    style: Style,
    piece: int,
    weights: Weights,
    held: Held,
    group: Group,
) -> tuple[Held, jax.Array]:
    """Write up to `piece` tokens of a reply in each row of a group.

    Stops as soon as every row has ended. The end token does not enter the cache: it is read with
    the next turn. Every other token does, so that a reply which has not ended can go on.

    Args:
        model: the decoder.
        style: how replies are written.
        piece: T.
        weights: of the model and its adapter.
        held: of the rows, with room for `piece` tokens more in each; donated.
        group: the rows.

    Returns:
        What is held, and tokens_BT, filled up with `style.eos_id`.
    """
    base, lora = weights
    head = model.head(base)

    def next_token(state: ReplyState) -> ReplyState:
        # Read the token chosen last, then choose the next one. A row that has ended reads nothing,
        # so its end token stays out of the cache.
        n_new_B = state.active_B.astype(jnp.int32)
        tokens_B1 = state.token_B[:, None]
        x_B1D, cache = model.extend(base, state.cache, tokens_B1, n_new_B, lora, group.adapter_B)
        x_BD = jnp.where(state.active_B[:, None], x_B1D[:, 0], state.x_BD)
        step = state.step + 1
        state = dataclasses.replace(state, x_BD=x_BD, cache=cache)
        return state.chose(step, style.choose(head(x_BD), group, step), style.eos_id)

    def unfinished(state: ReplyState) -> jax.Array:
        # The round at step `piece - 1` still runs: the last token has to enter the cache too.
        return state.active_B.any() & (state.step < piece)

    # The first token comes from the hidden state that the last read, or piece, left behind.
    cache, x_BD = group.gather(held)
    first, none_BT = jnp.int32(0), jnp.full((len(x_BD), piece), style.eos_id, jnp.int32)
    token_B = style.choose(head(x_BD), group, first)
    # Idle places begin as ended; otherwise the loop would wait for their nonsense to end.
    state = ReplyState(first, token_B, group.active(held), none_BT, x_BD, cache)
    state = state.chose(first, token_B, style.eos_id)
    state = jax.lax.while_loop(unfinished, next_token, state)
    return group.scatter(held, state.cache, state.x_BD), state.tokens_BT


def choose_token(
    logits_BV: jax.Array, noise_B2: jax.Array, place_B: jax.Array, temperature: float
) -> jax.Array:
    """The likeliest token of each row, or one drawn at a temperature above 0."""
    # Decided while tracing, as the style is static: greedy programs hold no random numbers.
    if not temperature:
        return logits_BV.argmax(-1)
    return jax.vmap(_sample)(logits_BV / temperature, noise_B2, place_B)


def _sample(logits_V: jax.Array, noise_2: jax.Array, place: jax.Array) -> jax.Array:
    """A token that depends on the logits, the row's seed, the turn and the place alone.

    So a conversation goes the same way in whatever row, and beside whatever others, it is held.
    """
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(noise_2[0]), noise_2[1]), place)
    return jax.random.categorical(key, logits_V)
