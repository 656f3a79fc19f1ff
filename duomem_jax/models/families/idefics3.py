"""Idefics3 and SmolVLM (256M, 500M, 2.2B): SigLIP's tower, one linear map, any decoder."""

import math

from duomem_jax.base.errors import UserError
from duomem_jax.models.families.base import HfConfig, Weight, supported, whole
from duomem_jax.models.families.seeing import (
    Seeing,
    image_token,
    layer_norm,
    linear,
    tower_config,
)
from duomem_jax.models.naming import Naming
from duomem_jax.models.vision.config import ProjectorConfig, TowerConfig, VisionConfig
from duomem_jax.models.vision.recipe import Recipe, common_recipe, edge
from duomem_jax.models.vision.tiles import MOST_TILES, Grid, ScaledTiles

TOWER, CONNECTOR = "model.vision_model.", "model.connector."
# Every tile, and every picture, stands between two of these.
AROUND, PICTURE, OVERVIEW = "<fake_token_around_image>", "<image>", "<global-img>"


def _from_hf(hf: HfConfig) -> VisionConfig:
    return VisionConfig(
        family=hf["model_type"],
        tower=TowerConfig(**tower_config(hf["vision_config"])),
        projector=ProjectorConfig(
            whole(hf, "scale_factor"), whole(hf["text_config"], "hidden_size")
        ),
        image_token=image_token(hf),
    )


def _weights(c: VisionConfig) -> list[Weight]:
    layer, at = "vision_model.encoder.layers.{l}.", ("tower", "layers")
    attention = {"q_proj": "q_proj", "k_proj": "k_proj", "v_proj": "v_proj", "o_proj": "out_proj"}
    return [
        Weight("vision_model.embeddings.patch_embedding.weight", ("tower", "patches", "filter")),
        Weight("vision_model.embeddings.patch_embedding.bias", ("tower", "patches", "bias")),
        Weight("vision_model.embeddings.position_embedding.weight", ("tower", "positions")),
        *layer_norm(f"{layer}layer_norm1", (*at, "attn_norm")),
        *layer_norm(f"{layer}layer_norm2", (*at, "mlp_norm")),
        *(
            weight
            for ours, hf in attention.items()
            for weight in linear(f"{layer}self_attn.{hf}", (*at, "self_attn", ours))
        ),
        *linear(f"{layer}mlp.fc1", (*at, "mlp", "up_proj")),
        *linear(f"{layer}mlp.fc2", (*at, "mlp", "down_proj")),
        *layer_norm("vision_model.post_layernorm", ("tower", "post_norm")),
        *linear("connector.modality_projection.proj", ("projector", "proj"), bias=False),
    ]


def _recipe(hf: HfConfig) -> Recipe:
    side, longest = edge(hf, "max_image_size"), edge(hf, "size")
    if math.ceil(longest / side) ** 2 > MOST_TILES:
        raise UserError(
            f"config.json: fields size and max_image_size make more than {MOST_TILES} tiles of a "
            "picture, which is not supported"
        )
    return Recipe(
        **common_recipe(hf, ("Idefics3ImageProcessor", "SmolVLMImageProcessor")),
        side=side,
        split=supported(hf, "do_image_splitting", True, False),
        tiling=ScaledTiles(longest),
    )


def _spelled(grid: Grid, tile_tokens: int) -> str:
    tile = PICTURE * tile_tokens
    overview = f"{AROUND}{OVERVIEW}{tile}{AROUND}"
    if grid.tiles == 1:
        return overview
    rows = (
        "".join(f"{AROUND}<row_{row + 1}_col_{c + 1}>{tile}" for c in range(grid.columns)) + "\n"
        for row in range(grid.rows)
    )
    return "".join(rows) + "\n" + overview


def _seeing(model_type: str) -> Seeing:
    return Seeing(
        model_type,
        decoder_naming=Naming((("model.text_model.", "model."),), others=(TOWER, CONNECTOR)),
        naming=Naming(
            ((TOWER, "vision_model."), (CONNECTOR, "connector.")),
            others=("model.text_model.", "lm_head."),
        ),
        from_hf=_from_hf,
        weights=_weights,
        recipe=_recipe,
        placeholder=PICTURE,
        spelled=_spelled,
    )


IDEFICS3, SMOLVLM = _seeing("idefics3"), _seeing("smolvlm")
