"""Rendered pictures with questions whose answers are known, and captions that say little."""

from collections.abc import Callable, Mapping

from duomem_jax.base.draw import Draw
from duomem_jax.worlds.pictures.canvas import Canvas
from duomem_jax.worlds.pictures.chart import chart
from duomem_jax.worlds.pictures.clock import clock
from duomem_jax.worlds.pictures.note import note
from duomem_jax.worlds.pictures.picture import Asked, Drawn, Picture
from duomem_jax.worlds.pictures.shapes import shapes
from duomem_jax.worlds.pictures.sign import sign

__all__ = ["KINDS", "Asked", "Picture", "render"]

SIZE = 128  # pixels of a side
# One line for each kind: what draws one, and tells what is known of it.
KINDS: Mapping[str, Callable[[Draw, Canvas], Drawn]] = {
    "shapes": shapes,
    "sign": sign,
    "clock": clock,
    "chart": chart,
    "note": note,
}


def render(
    seed: int, index: int, *, held_out: bool = False, kind: str = "", size: int = SIZE
) -> Picture:
    """Picture `index` of a seed: the same in every process, at every size.

    Args:
        seed: of a set of pictures.
        index: of the picture in it.
        held_out: from a stream of its own, which no training picture is from.
        kind: of the picture; "": any.
        size: pixels of a side.
    """
    side = "held-out" if held_out else "train"
    draw = Draw(f"picture {side} {seed} {index}")
    kind, canvas = kind or draw.pick(list(KINDS)), Canvas(size)
    drawn = KINDS[kind](draw, canvas)
    image = canvas.finish()
    return Picture(kind, image, drawn.caption, tuple(drawn.asked), drawn.written)
