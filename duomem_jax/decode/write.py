"""Write replies in some rows, token by token, until the last one ends or a piece is full."""

import dataclasses
from dataclasses import dataclass

import jax
import jax.numpy as jnp

from duomem_jax.decode.rows import Group, Layers, Weights
from duomem_jax.models.cache import KVCache
from duomem_jax.models.model import Model


@dataclass(frozen=True)
class Style:
    """How replies are written; static.

    Attributes:
        eos_id: the token that ends a reply.
        max_new: tokens a reply may have, end token included.
        temperature: of the sampling; 0 takes the likeliest token.
    """

    eos_id: int
    max_new: int
    temperature: float


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Writing:
    """Replies under way; the state of the loop over tokens.

    Attributes:
        step: int32 scalar, place in the piece of the token that was chosen last.
        token_B: int32, that token of each row. The cache does not hold it yet.
        active_B: bool, whether a row's reply goes on after it.
        tokens_BT: int32, the piece so far, the rest filled with `eos_id`.
        x_BD: last hidden state of each row, from which its next token is chosen.
        cache: what has been read in each row of the group.
    """

    step: jax.Array
    token_B: jax.Array
    active_B: jax.Array
    tokens_BT: jax.Array
    x_BD: jax.Array
    cache: KVCache

    def chose(self, step: jax.Array, token_B: jax.Array, eos_id: int) -> "Writing":
        """Take down the tokens chosen for place `step`; rows that had ended stay as they are.

        Beyond the piece they are dropped: the next piece chooses them again, from the same state.
        """
        written_B = jnp.where(self.active_B, token_B, eos_id)
        return dataclasses.replace(
            self,
            step=step,
            token_B=token_B,
            active_B=self.active_B & (token_B != eos_id),
            tokens_BT=self.tokens_BT.at[:, step].set(written_B, mode="drop"),
        )


def write(
    model: Model,
    style: Style,
    piece: int,
    keys: int,
    weights: Weights,
    layers: Layers,
    x_YD: jax.Array,
    group: Group,
) -> tuple[Layers, jax.Array, jax.Array]:
    """Write up to `piece` tokens of a reply in each row of a group.

    The end token does not enter the cache: it is read with the next turn. Every other token does,
    so that a reply which has not ended can be continued from the row's last hidden state.

    Args:
        model: the decoder.
        style: how replies are written.
        piece: tokens to write at most; no more than `style.max_new`.
        keys: tokens of the cache to look at, at least the longest row's and `piece` more.
        weights: of the model and its adapter.
        layers: keys and values of all rows; donated.
        x_YD: last hidden state of every row; donated.
        group: the rows.

    Returns:
        The keys and values, x_YD, and tokens_BT with T = `piece`, filled up with `eos_id`.
    """
    base, lora = weights
    head = model.head(base)

    def choose(step: jax.Array, x_BD: jax.Array) -> jax.Array:
        """The token of each row at place `step`; the end token at the last place of a reply."""
        place_B = group.done_B + step
        token_B = _choose(head(x_BD), group.noise_B2, place_B, style.temperature)
        return jnp.where(place_B == style.max_new - 1, style.eos_id, token_B).astype(jnp.int32)

    def next_token(writing: Writing) -> Writing:
        n_new_B = writing.active_B.astype(jnp.int32)
        tokens_B1 = writing.token_B[:, None]
        x_B1D, cache = model.extend(base, writing.cache, tokens_B1, n_new_B, lora, group.adapter_B)
        x_BD = jnp.where(writing.active_B[:, None], x_B1D[:, 0], writing.x_BD)
        step = writing.step + 1
        writing = dataclasses.replace(writing, x_BD=x_BD, cache=cache)
        return writing.chose(step, choose(step, x_BD), style.eos_id)

    start, B = jnp.int32(0), len(group.rows_B)
    x_BD = x_YD.at[group.rows_B].get(mode="clip")
    idle_B = group.rows_B >= len(x_YD)
    writing = Writing(
        step=start,
        token_B=jnp.zeros(B, jnp.int32),
        active_B=~idle_B,
        tokens_BT=jnp.full((B, piece), style.eos_id, jnp.int32),
        x_BD=x_BD,
        cache=group.gather(layers, keys),
    )
    writing = writing.chose(start, choose(start, x_BD), style.eos_id)
    writing = jax.lax.while_loop(lambda w: w.active_B.any() & (w.step < piece), next_token, writing)
    x_YD = x_YD.at[group.rows_B].set(writing.x_BD, mode="drop")
    return group.scatter(layers, writing.cache), x_YD, writing.tokens_BT


def _choose(
    logits_BV: jax.Array, noise_B2: jax.Array, place_B: jax.Array, temperature: float
) -> jax.Array:
    """The likeliest token of each row, or one drawn at a temperature above 0."""
    if not temperature:
        return logits_BV.argmax(-1)
    return jax.vmap(_sample)(logits_BV / temperature, noise_B2, place_B)


def _sample(logits_V: jax.Array, noise_2: jax.Array, place: jax.Array) -> jax.Array:
    """A token that depends on the logits, the row's seed, the turn and the place alone.

    So a conversation goes the same way in whatever row, and beside whatever others, it is held.
    """
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(noise_2[0]), noise_2[1]), place)
    return jax.random.categorical(key, logits_V)
