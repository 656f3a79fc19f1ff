"""Write a reply in each of some rows, token by token, until the last one ends."""

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
        step: int32 scalar, place in the reply of the token that was chosen last.
        token_B: int32, that token of each row. The cache does not hold it yet.
        active_B: bool, whether a row's reply goes on after it.
        tokens_BT: int32, the replies so far, T = `max_new`, the rest filled with `eos_id`.
        cache: what has been read in each row of the group.
    """

    step: jax.Array
    token_B: jax.Array
    active_B: jax.Array
    tokens_BT: jax.Array
    cache: KVCache

    @classmethod
    def start(cls, active_B: jax.Array, cache: KVCache, style: Style) -> "Writing":
        """Before the first token."""
        B = len(active_B)
        tokens_BT = jnp.full((B, style.max_new), style.eos_id, jnp.int32)
        return cls(jnp.int32(0), jnp.zeros(B, jnp.int32), active_B, tokens_BT, cache)

    def chose(self, step: jax.Array, token_B: jax.Array, eos_id: int) -> "Writing":
        """Take down the tokens chosen for place `step`; rows that had ended stay as they are."""
        written_B = jnp.where(self.active_B, token_B, eos_id)
        return dataclasses.replace(
            self,
            step=step,
            token_B=token_B,
            active_B=self.active_B & (token_B != eos_id),
            tokens_BT=self.tokens_BT.at[:, step].set(written_B),
        )


def write(
    model: Model,
    style: Style,
    keys: int,
    weights: Weights,
    layers: Layers,
    x_YD: jax.Array,
    group: Group,
) -> tuple[Layers, jax.Array]:
    """Write a reply of at most `style.max_new` tokens, end token included, in each row of a group.

    The end token itself does not enter the cache: it is read with the next turn.

    Args:
        model: the decoder.
        style: how replies are written.
        keys: tokens of the cache to look at, at least the longest row's and `max_new` more.
        weights: of the model and its adapter.
        layers: keys and values of all rows; donated.
        x_YD: last hidden state of every row.
        group: the rows.

    Returns:
        The keys and values, and tokens_BT with T = `max_new`, filled up with `eos_id`.
    """
    base, lora = weights
    head = model.head(base)

    def choose(step: jax.Array, x_BD: jax.Array) -> jax.Array:
        """The token of each row at place `step`; the end token at the last place there is."""
        token_B = _choose(head(x_BD), group.noise_B2, step, style.temperature)
        return jnp.where(step == style.max_new - 1, style.eos_id, token_B).astype(jnp.int32)

    def next_token(writing: Writing) -> Writing:
        n_new_B = writing.active_B.astype(jnp.int32)
        tokens_B1 = writing.token_B[:, None]
        x_B1D, cache = model.extend(base, writing.cache, tokens_B1, n_new_B, lora, group.adapter_B)
        step = writing.step + 1
        writing = dataclasses.replace(writing, cache=cache)
        return writing.chose(step, choose(step, x_B1D[:, 0]), style.eos_id)

    first_B = choose(jnp.int32(0), x_YD.at[group.rows_B].get(mode="clip"))
    idle_B = group.rows_B >= len(x_YD)
    writing = Writing.start(~idle_B, group.gather(layers, keys), style)
    writing = writing.chose(writing.step, first_B, style.eos_id)
    writing = jax.lax.while_loop(lambda w: w.active_B.any(), next_token, writing)
    return group.scatter(layers, writing.cache), writing.tokens_BT


def _choose(
    logits_BV: jax.Array, noise_B2: jax.Array, step: jax.Array, temperature: float
) -> jax.Array:
    """The likeliest token of each row, or one drawn at a temperature above 0."""
    if not temperature:
        return logits_BV.argmax(-1)
    return jax.vmap(_sample, (0, 0, None))(logits_BV / temperature, noise_B2, step)


def _sample(logits_V: jax.Array, noise_2: jax.Array, step: jax.Array) -> jax.Array:
    """A token that depends on the logits, the row's seed, the turn and the place alone.

    So a conversation goes the same way in whatever row, and beside whatever others, it is held.
    """
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(noise_2[0]), noise_2[1]), step)
    return jax.random.categorical(key, logits_V)
