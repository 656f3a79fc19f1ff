"""Read a chunk of tokens into some rows."""

import jax
import jax.numpy as jnp

from duomem_jax.decode.rows import Group, Held, Weights
from duomem_jax.models.model import Model
from duomem_jax.models.vision.merge import PictureFeatures


def read(
    model: Model,
    weights: Weights,
    held: Held,
    group: Group,
    tokens_BT: jax.Array,
    n_new_B: jax.Array,
    pictures: PictureFeatures | None = None,
) -> Held:
    """Append up to T tokens to each row of a group.

    Args:
        model: the decoder.
        weights: of the model and its adapter.
        held: of the rows, with room for the tokens of each; donated.
        group: the rows.
        tokens_BT: int32, right padded.
        n_new_B: int32, tokens of each row that count.
        pictures: what stands in the place of picture tokens among these; None: there are none.

    Returns:
        What is held, with the tokens.
    """
    part, _ = group.gather(held)
    base, lora = weights
    x_BTD, part = model.extend(base, part, tokens_BT, n_new_B, lora, group.adapter_B, pictures)
    # An idle place has no new token: -1 picks padding, which `scatter` drops.
    last_BD = x_BTD[jnp.arange(len(n_new_B)), n_new_B - 1]
    return group.scatter(held, part, last_BD)
