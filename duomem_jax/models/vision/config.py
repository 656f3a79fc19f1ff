"""The shapes of a tower and a projector, the same records for every model that sees."""

from dataclasses import dataclass

from duomem_jax.base.errors import UserError

MOST_SIDE = 256  # patches a side of a tile: those of real towers have 14 to 64


@dataclass(frozen=True)
class TowerConfig:
    """A vision transformer's shape. A tile is a row of it, and the tile's patches are its tokens.

    The letters are the decoder's (`x_BTD`). Lower-case h, w and c are the rows, columns and colours
    of a tile's pixels.
    """

    image_size: int  # pixels, height and width of a tile
    patch_size: int  # pixels, height and width of a patch
    d_model: int  # D
    n_layers: int  # L
    n_heads: int  # N
    d_ff: int  # F
    activation: str = "gelu_pytorch_tanh"  # a name in `models.config.ACTIVATIONS`
    norm: str = "layer_norm"  # of the layers; a name in `vision.tower.NORMS`
    norm_eps: float = 1e-6
    qkv_bias: bool = True
    class_token: bool = False  # stands before the patches; what it becomes is not looked at
    layer_scale: float = 0.0  # fresh factor of what a block adds; 0: there are no factors
    post_norm: bool = True  # a LayerNorm after the last layer

    def __post_init__(self) -> None:
        if self.image_size % self.patch_size:
            raise UserError(
                f"config.json: field vision_config.image_size is {self.image_size}, not a multiple "
                f"of patch_size ({self.patch_size}); correct the file"
            )
        # Before attention to all of them is laid out, block by block.
        if self.side > MOST_SIDE:
            raise UserError(
                f"config.json: fields vision_config.image_size and patch_size are "
                f"{self.image_size} and {self.patch_size}: {self.side} patches a side, where "
                f"{MOST_SIDE} are supported; correct the file"
            )
        if self.d_model % self.n_heads:
            raise UserError(
                f"config.json: field vision_config.hidden_size is {self.d_model}, not a multiple "
                f"of num_attention_heads ({self.n_heads}); correct the file"
            )

    @property
    def side(self) -> int:
        """Patches in a row, and rows of patches, of a tile."""
        return self.image_size // self.patch_size


@dataclass(frozen=True)
class ProjectorConfig:
    """From patches to the decoder's width."""

    shuffle: int  # a square of shuffle x shuffle patches becomes one token
    d_out: int  # the decoder's D
    mlp: bool = False  # LayerNorm, linear, activation, linear; else one linear without bias
    activation: str = "gelu"  # of the former; a name in `models.config.ACTIVATIONS`


@dataclass(frozen=True)
class VisionConfig:
    """What stands before a decoder that sees.

    Attributes:
        family: a name in `models.families.SEEING`.
        tower: from pixels to patches.
        projector: from patches to tokens.
        image_token: id of the token in whose place a projected feature goes.
        dtype: of the activations; a name in `models.config.DTYPES`.
    """

    family: str
    tower: TowerConfig
    projector: ProjectorConfig
    image_token: int
    dtype: str = "float32"

    def __post_init__(self) -> None:
        if self.tower.side % self.projector.shuffle:
            raise UserError(
                f"config.json: {self.tower.side} patches a side cannot be joined "
                f"{self.projector.shuffle} by {self.projector.shuffle}; correct vision_config or "
                "the factor of the projector"
            )

    @property
    def tile_tokens(self) -> int:
        """Tokens of a tile."""
        return (self.tower.side // self.projector.shuffle) ** 2
