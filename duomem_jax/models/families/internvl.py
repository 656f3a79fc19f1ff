"""InternVL3 (1B, 2B and larger ones with the tower of 300M): InternViT, an MLP, any decoder."""

from duomem_jax.base.errors import UserError
from duomem_jax.models.config import ACTIVATIONS
from duomem_jax.models.families.base import HfConfig, Weight, positive, supported, whole
from duomem_jax.models.families.seeing import (
    Seeing,
    image_token,
    layer_norm,
    linear,
    tower_config,
)
from duomem_jax.models.naming import Naming
from duomem_jax.models.vision.config import ProjectorConfig, TowerConfig, VisionConfig
from duomem_jax.models.vision.recipe import Recipe, common_recipe, square
from duomem_jax.models.vision.tiles import Grid, MatchedTiles
from duomem_jax.models.vision.tower import NORMS

# As files have them, and as the modules are called since transformers 4.52, which others write.
DECODER = (
    ("language_model.model.", "model."),
    ("language_model.lm_head.", "lm_head."),
    ("model.language_model.", "model."),
)
SIGHT = (
    ("vision_tower.", "vision_tower."),
    ("multi_modal_projector.", "multi_modal_projector."),
    ("model.vision_tower.", "vision_tower."),
    ("model.multi_modal_projector.", "multi_modal_projector."),
)
BEGIN, PICTURE, END = "<img>", "<IMG_CONTEXT>", "</img>"


def _from_hf(hf: HfConfig) -> VisionConfig:
    vision, ratio = hf["vision_config"], positive(hf, "downsample_ratio")
    # What the tower does not do is refused: ignored, it would give another model's numbers.
    supported(vision, "use_qk_norm", False)
    supported(vision, "use_mask_token", False)
    supported(vision, "use_absolute_position_embeddings", True)
    supported(hf, "vision_feature_layer", -1)
    supported(hf, "vision_feature_select_strategy", "default")
    if round(1 / ratio) * ratio != 1:
        raise UserError(
            f"config.json: field downsample_ratio is {ratio}; supported: 1 divided by a whole "
            "number, such as 0.5"
        )
    sides = {name: _side(vision, name) for name in ("image_size", "patch_size")}
    return VisionConfig(
        family=hf["model_type"],
        tower=TowerConfig(
            **tower_config(vision | sides),
            norm=supported(vision, "norm_type", *NORMS),
            qkv_bias=supported(vision, "attention_bias", True, False),
            class_token=True,
            layer_scale=positive(vision, "layer_scale_init_value"),
            post_norm=not supported(vision, "use_mean_pooling", True, False),
        ),
        projector=ProjectorConfig(
            round(1 / ratio),
            whole(hf["text_config"], "hidden_size"),
            mlp=True,
            activation=supported(hf, "projector_hidden_act", *ACTIVATIONS),
        ),
        image_token=image_token(hf),
    )


def _side(vision: HfConfig, field: str) -> int:
    """A field that has the height and the width of a square."""
    height, width = vision[field]
    if height != width:
        raise UserError(
            f"config.json: field vision_config.{field} is {vision[field]}; supported: squares"
        )
    return height


def _weights(c: VisionConfig) -> list[Weight]:
    layer, at = "vision_tower.encoder.layer.{l}.", ("tower", "layers")
    embeddings, norm_bias = "vision_tower.embeddings.", c.tower.norm == "layer_norm"
    patches = f"{embeddings}patch_embeddings.projection"
    out = [
        Weight(f"{patches}.weight", ("tower", "patches", "filter")),
        Weight(f"{patches}.bias", ("tower", "patches", "bias")),
        Weight(f"{embeddings}cls_token", ("tower", "class_token"), ones=2),
        Weight(f"{embeddings}position_embeddings", ("tower", "positions"), ones=1),
        *layer_norm(f"{layer}layernorm_before", (*at, "attn_norm"), norm_bias),
        *layer_norm(f"{layer}layernorm_after", (*at, "mlp_norm"), norm_bias),
        Weight(f"{layer}lambda_1", (*at, "attn_scale")),
        Weight(f"{layer}lambda_2", (*at, "mlp_scale")),
        *(
            weight
            for name in ("q_proj", "k_proj", "v_proj")
            for weight in linear(
                f"{layer}attention.{name}", (*at, "self_attn", name), c.tower.qkv_bias
            )
        ),
        *linear(f"{layer}attention.projection_layer", (*at, "self_attn", "o_proj")),
        *linear(f"{layer}mlp.fc1", (*at, "mlp", "up_proj")),
        *linear(f"{layer}mlp.fc2", (*at, "mlp", "down_proj")),
        *layer_norm("multi_modal_projector.layer_norm", ("projector", "norm")),
        *linear("multi_modal_projector.linear_1", ("projector", "up_proj")),
        *linear("multi_modal_projector.linear_2", ("projector", "down_proj")),
    ]
    if c.tower.post_norm:
        out += layer_norm("vision_tower.layernorm", ("tower", "post_norm"))
    return out


def _recipe(hf: HfConfig) -> Recipe:
    least, most = whole(hf, "min_patches"), whole(hf, "max_patches")
    return Recipe(
        **common_recipe(hf, ("GotOcr2ImageProcessor",)),
        side=square(hf, "size"),
        # The file says no: it is transformers' processor of the whole model that splits.
        split=True,
        tiling=MatchedTiles(least, most),
    )


def _spelled(grid: Grid, tile_tokens: int) -> str:
    return f"{BEGIN}{PICTURE * (tile_tokens * grid.tiles)}{END}"


INTERNVL = Seeing(
    "internvl",
    decoder_naming=Naming(DECODER, others=tuple(name for name, _ in SIGHT)),
    naming=Naming(SIGHT, others=(*(name for name, _ in DECODER), "lm_head.")),
    from_hf=_from_hf,
    weights=_weights,
    recipe=_recipe,
    placeholder=PICTURE,
    spelled=_spelled,
)
