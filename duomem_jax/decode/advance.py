"""One step of replies whose tokens are limited by the host: read some, then choose one."""

import jax
import jax.numpy as jnp

from duomem_jax.decode.rows import Group, Held, Weights
from duomem_jax.decode.write import Style, choose_token
from duomem_jax.models.model import Model


def advance(
    model: Model,
    style: Style,
    weights: Weights,
    held: Held,
    group: Group,
    tokens_BT: jax.Array,
    n_new_B: jax.Array,
    mask_Bn: jax.Array,
) -> tuple[Held, jax.Array]:
    """Append up to T tokens to each row of a group, and choose the token after them.

    Args:
        model: the decoder.
        style: how replies are written.
        weights: of the model and its adapter.
        held: of the rows, with room for the tokens of each; donated.
        group: the rows; `done_B` counts the tokens of the reply before these.
        tokens_BT: int32, right padded.
        n_new_B: int32, tokens of each row that count; with 0 the row stays where it is.
        mask_Bn: uint32, bit i % 32 of word i // 32 says whether token i may be chosen.

    Returns:
        What is held, and token_B, which is not in it yet.
    """
    base, lora = weights
    part, x_BD = group.gather(held)
    x_BTD, part = model.extend(base, part, tokens_BT, n_new_B, lora, group.adapter_B)
    last_BD = x_BTD[jnp.arange(len(n_new_B)), n_new_B - 1]
    x_BD = jnp.where(n_new_B[:, None] > 0, last_BD, x_BD)
    logits_BV = model.head(base)(x_BD)
    # Bits, since a mask of bytes would be as long as the vocabulary, for each row and token.
    bits_Bn32 = mask_Bn[:, :, None] >> jnp.arange(32, dtype=jnp.uint32) & 1
    allowed_BV = bits_Bn32.reshape(len(x_BD), -1)[:, : logits_BV.shape[1]] == 1
    # Not the least number: at a high temperature that would be drawn.
    logits_BV = jnp.where(allowed_BV, logits_BV, -jnp.inf)
    token_B = choose_token(
        logits_BV, group.noise_B2, group.done_B + n_new_B, style.temperature
    ).astype(jnp.int32)
    return group.scatter(held, part, x_BD), token_B
