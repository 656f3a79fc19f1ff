"""What a family of models that see has to say about itself."""

from collections.abc import Callable
from dataclasses import dataclass

from duomem_jax.base.errors import UserError
from duomem_jax.models.config import ACTIVATIONS
from duomem_jax.models.families.base import (
    Arguments,
    HfConfig,
    Weight,
    layers,
    positive,
    supported,
    whole,
)
from duomem_jax.models.naming import Naming
from duomem_jax.models.vision.config import VisionConfig
from duomem_jax.models.vision.recipe import Recipe
from duomem_jax.models.vision.tiles import Grid


@dataclass(frozen=True)
class Seeing:
    """Readers of one `model_type` whose decoder is of any family in `families.FAMILIES`.

    Attributes:
        model_type: in config.json.
        decoder_naming: of the decoder's tensors, for the decoder's own family.
        naming: of the other tensors, for `weights`.
        from_hf: tower and projector of a completed config.
        weights: tensors of tower and projector.
        recipe: how pictures become tiles, from the fields of an image processor.
        placeholder: what stands for a picture in a prompt.
        spelled: what stands for it in the end, from its grid and the tokens of a tile.
    """

    model_type: str
    decoder_naming: Naming
    naming: Naming
    from_hf: Callable[[HfConfig], VisionConfig]
    weights: Callable[[VisionConfig], list[Weight]]
    recipe: Callable[[HfConfig], Recipe]
    placeholder: str
    spelled: Callable[[Grid, int], str]


def tower_config(vision: HfConfig) -> Arguments:
    """The arguments of `TowerConfig` that every family spells alike.

    Args:
        vision: the field `vision_config` of a completed config.
    """
    supported(vision, "num_channels", 3)
    return {
        "image_size": whole(vision, "image_size"),
        "patch_size": whole(vision, "patch_size"),
        "d_model": whole(vision, "hidden_size"),
        "n_layers": layers(vision),
        "n_heads": whole(vision, "num_attention_heads"),
        "d_ff": whole(vision, "intermediate_size"),
        "activation": supported(vision, "hidden_act", *ACTIVATIONS),
        "norm_eps": positive(vision, "layer_norm_eps"),
    }


def image_token(hf: HfConfig) -> int:
    """The id of picture tokens.

    Raises:
        UserError: it is no token of the decoder.
    """
    token, vocabulary = hf["image_token_id"], whole(hf["text_config"], "vocab_size")
    if type(token) is not int or not 0 <= token < vocabulary:
        raise UserError(
            f"config.json: field image_token_id is {token!r}; a token of the decoder is needed, "
            f"from 0 to {vocabulary - 1}"
        )
    return token


def linear(hf: str, path: tuple[str, ...], bias: bool = True) -> list[Weight]:
    """The tensors of a projection."""
    kernel = Weight(f"{hf}.weight", (*path, "kernel"), transpose=True)
    return [kernel, Weight(f"{hf}.bias", (*path, "bias"))] if bias else [kernel]


def layer_norm(hf: str, path: tuple[str, ...], bias: bool = True) -> list[Weight]:
    """The tensors of a norm; an RMSNorm has no bias."""
    scale = Weight(f"{hf}.weight", (*path, "scale"))
    return [scale, Weight(f"{hf}.bias", (*path, "bias"))] if bias else [scale]
