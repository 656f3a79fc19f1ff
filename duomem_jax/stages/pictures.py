"""Pictures of demonstrations to what a model sees in them."""

from typing import Literal

from duomem_jax.base.ranges import options
from duomem_jax.base.shard import WHOLE
from duomem_jax.data.pictures import build_pictures
from duomem_jax.data.sources import Demonstrations
from duomem_jax.models.locate import model_path
from duomem_jax.models.vision.config import Tiled
from duomem_jax.models.vision.eyes import Eyes
from duomem_jax.records.chat import pictures_of
from duomem_jax.records.store.write import WriteReport
from duomem_jax.stages.options import Folder, Part


@options
class Pictures:
    """How pictures are seen."""

    tiles: Tiled = ""  # one or several a picture; empty: as the model's folder says
    dtype: Literal["float32", "bfloat16"] = "float32"  # of the compute


def pictures(
    out: Folder,
    /,
    demonstrations: tuple[str, ...],
    model: str,
    how: Pictures = Pictures(),
    shard: Part = WHOLE,
) -> WriteReport:
    """Run a model's vision tower over the pictures of demonstrations, for `duomem examples`.

    Each picture is seen once, however often it is shown. An expert that is trained on them learns
    in the decoder alone, so training never runs the tower.

    Args:
        out: folder to write.
        demonstrations: folders of demonstrations, those to validate on too.
        model: that sees, and of which experts are trained: folder or hub id.
        how: tiles of a picture, dtype.
        shard: write part i/n.

    Raises:
        UserError: bad input, a model that does not see, or an output folder of another config.
    """
    source = Demonstrations(demonstrations)
    shown = (part for d in source.block(0, 1) for m in d.messages for part in pictures_of(m))
    eyes = Eyes(model_path(model), how.tiles, how.dtype)
    return build_pictures(shown, eyes, out, source=source.identity, shard=shard)
