"""Rendered pictures with questions whose answers are known, and captions that say little."""

from collections.abc import Callable, Mapping

from duomem_jax.base.draw import Draw
from duomem_jax.worlds.pictures.canvas import Canvas
from duomem_jax.worlds.pictures.chart import chart
from duomem_jax.worlds.pictures.clock import clock
from duomem_jax.worlds.pictures.note import note
from duomem_jax.worlds.pictures.picture import Asked, Picture
from duomem_jax.worlds.pictures.shapes import shapes
from duomem_jax.worlds.pictures.sign import sign

__all__ = ["KINDS", "Asked", "Picture", "render"]

SIZE = 128  # pixels of a side
# One line for each kind: what draws one, and returns its caption and all that is asked about it.
KINDS: Mapping[str, Callable[[Draw, Canvas], tuple[str, list[Asked]]]] = {
    "shapes": shapes,
    "sign": sign,
    "clock": clock,
    "chart": chart,
    "note": note,
}


def render(seed: int, index: int, *, held_out: bool = False, size: int = SIZE) -> Picture:
    """Picture `index` of a seed: the same in every process, at every size.

    Args:
        seed: of a set of pictures.
        index: of the picture in it.
        held_out: from a stream of its own, which no training picture is from.
        size: pixels of a side.
    """
    side = "held-out" if held_out else "train"
    draw = Draw(f"picture {side} {seed} {index}")
    kind, canvas = draw.pick(list(KINDS)), Canvas(size)
    caption, asked = KINDS[kind](draw, canvas)
    return Picture(kind, canvas.finish(), caption, tuple(asked))
