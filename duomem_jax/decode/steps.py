"""The two jitted parts of a turn: read a chunk into some rows of the cache, write replies.

Both gather R rows of the cache, cut to the keys that are live, and put them back; on a donated
cache that is a copy of those rows alone. Shapes: cache as `Model.init_cache` makes it, its rows are
the S slots; `slots_R` says which rows, an entry >= S is an idle place.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from duomem_jax.models.model import Model
from duomem_jax.models.platform import platform

# Written tokens are a few rows. Those XLA multiplies with a kernel at least as fast by itself as in
# its library YNNPACK (twice as fast on AVX2), which it takes on a CPU unless told otherwise.
WRITE_ON_CPU: dict[str, str | bool] = {"xla_cpu_experimental_ynn_fusion_type": ""}

Cache = tuple[tuple[jax.Array, jax.Array], ...]  # "layers" of `Model.init_cache`


def read(
    model: Model,
    keys: int,
    weights: Any,
    cache: Cache,
    x_SD,
    length_R,
    adapter_R,
    tokens_RT,
    n_new_R,
    slots_R,
) -> tuple[Cache, jax.Array]:
    """Append up to T tokens to each of R rows.

    Args:
        model: the decoder.
        keys: static; tokens of the cache to look at, at least those of the longest row after this.
        weights: (base, adapter or None).
        cache: donated.
        x_SD: last hidden state of every slot; donated.
        length_R: int32, tokens each row already holds.
        adapter_R: int32, which adapter of a stack each row uses, or None.
        tokens_RT: int32, right padded.
        n_new_R: int32, tokens of each row that count.
        slots_R: int32, the rows.

    Returns:
        The cache, and x_SD with the last hidden state of these rows replaced.
    """
    part = {"layers": _gather(cache, slots_R, keys), "length": length_R}
    base, lora = weights
    x_RTD, part = model.extend(base, part, tokens_RT, n_new_R, lora, adapter_R)
    last_RD = x_RTD[jnp.arange(len(slots_R)), n_new_R - 1]
    return _scatter(cache, slots_R, keys, part["layers"]), x_SD.at[slots_R].set(
        last_RD, mode="drop"
    )


def write(
    model: Model,
    eos_id: int,
    max_new: int,
    temperature: float,
    piece: int,
    keys: int,
    weights: Any,
    cache: Cache,
    x_SD,
    length_R,
    adapter_R,
    noise_R2,
    done_R,
    slots_R,
) -> tuple[Cache, jax.Array, jax.Array]:
    """Write up to `piece` tokens of a reply in each of R rows.

    A reply has at most `max_new` tokens, end token included. Stops as soon as every row has ended.
    The end token itself does not enter the cache; every other token does, so that a row which has
    not ended goes on from its last hidden state.

    Args:
        model: the decoder.
        eos_id: the end token; forced as the last token there is room for.
        max_new: static.
        temperature: static; 0 takes the likeliest token.
        piece: static; at most `max_new`.
        keys: static; at least the tokens of the longest row plus `piece`.
        weights: (base, adapter or None).
        cache: donated.
        x_SD: last hidden state of every slot; donated.
        length_R: int32, tokens each row holds.
        adapter_R: as in `read`.
        noise_R2: uint32, seed and turn of each row: what its sampling depends on.
        done_R: int32, tokens that each row's reply has already.
        slots_R: int32, the rows.

    Returns:
        The cache, x_SD, and tokens_RT with T = `piece`, filled up with `eos_id`.
    """
    base, lora = weights
    head = model.head(base)

    def choose(i, x_RD):
        at_R = done_R + i
        logits_RV = head(x_RD)
        token_R = logits_RV.argmax(-1)
        if temperature:
            token_R = jax.vmap(_sample)(logits_RV / temperature, noise_R2, at_R)
        return jnp.where(at_R == max_new - 1, eos_id, token_R).astype(jnp.int32)

    def keep(i, token_R, active_R, tokens_RT):
        # Past the piece's end the token is dropped: the next piece chooses it again, from x.
        tokens_RT = tokens_RT.at[:, i].set(jnp.where(active_R, token_R, eos_id), mode="drop")
        return i, token_R, active_R & (token_R != eos_id), tokens_RT

    def step(state):
        (i, token_R, active_R, tokens_RT), x_RD, part = state
        n_new_R = active_R.astype(jnp.int32)
        x_R1D, part = model.extend(base, part, token_R[:, None], n_new_R, lora, adapter_R)
        x_RD = jnp.where(active_R[:, None], x_R1D[:, 0], x_RD)
        return keep(i + 1, choose(i + 1, x_RD), active_R, tokens_RT), x_RD, part

    def unfinished(state):
        (i, _, active_R, _), *_ = state
        return active_R.any() & (i < piece)

    part = {"layers": _gather(cache, slots_R, keys), "length": length_R}
    tokens_RT = jnp.full((len(slots_R), piece), eos_id, jnp.int32)
    x_RD = x_SD.at[slots_R].get(mode="clip")
    state = keep(jnp.int32(0), choose(0, x_RD), slots_R < len(x_SD), tokens_RT), x_RD, part
    (*_, tokens_RT), x_RD, part = jax.lax.while_loop(unfinished, step, state)
    cache = _scatter(cache, slots_R, keys, part["layers"])
    return cache, x_SD.at[slots_R].set(x_RD, mode="drop"), tokens_RT


def compile_part(name: str, fixed: tuple, args: tuple) -> Any:
    """`read` or `write` compiled for the shapes of `args`; generators of equal shapes share it.

    Args:
        name: "read" or "write".
        fixed: the static arguments, up to `keys`.
        args: the others, arrays or anything with their shapes.
    """
    leaves, tree = jax.tree.flatten(args)
    return _compile(name, fixed, tree, tuple(map(_shape, leaves)))


@functools.lru_cache(maxsize=128)
def _compile(name: str, fixed: tuple, tree: Any, shapes: tuple) -> Any:
    part = read if name == "read" else write
    jitted = jax.jit(functools.partial(part, *fixed), donate_argnums=(1, 2))
    options = WRITE_ON_CPU if name == "write" and platform() == "cpu" else None
    return jitted.lower(*jax.tree.unflatten(tree, shapes)).compile(options)


def _shape(x: Any) -> jax.ShapeDtypeStruct:
    sharding = x.sharding if isinstance(x, jax.Array) and x.committed else None
    return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding)


def _gather(cache: Cache, slots_R, keys: int) -> Cache:
    at_k, at_v = _places(slots_R, keys)
    return tuple((k.at[at_k].get(mode="clip"), v.at[at_v].get(mode="clip")) for k, v in cache)


def _scatter(cache: Cache, slots_R, keys: int, part: Cache) -> Cache:
    at_k, at_v = _places(slots_R, keys)
    return tuple(
        (k.at[at_k].set(new_k, mode="drop"), v.at[at_v].set(new_v, mode="drop"))
        for (k, v), (new_k, new_v) in zip(cache, part, strict=True)
    )


def _places(slots_R, keys: int) -> tuple[tuple, tuple]:
    """Where the first `keys` tokens of some rows lie in k_BKHS and in v_BKSH."""
    every, first = slice(None), slice(keys)
    return (slots_R, every, every, first), (slots_R, every, first)


def _sample(logits_V, noise_2, at):
    """A token that depends on the logits, the row's seed, the turn and the place alone."""
    key = jax.random.fold_in(jax.random.fold_in(jax.random.key(noise_2[0]), noise_2[1]), at)
    return jax.random.categorical(key, logits_V)
