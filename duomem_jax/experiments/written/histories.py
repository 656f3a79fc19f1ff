"""Short histories: a few lines, and one picture that they are written on."""

from dataclasses import dataclass

from duomem_jax.base.draw import Draw
from duomem_jax.records.pictures import PictureFolder
from duomem_jax.worlds.pictures import SIZE
from duomem_jax.worlds.pictures.canvas import Canvas
from duomem_jax.worlds.pictures.note import Line, lines_of, write_lines
from duomem_jax.worlds.pictures.picture import png


@dataclass(frozen=True)
class History:
    """Lines that were written one after another, and all of them on one picture.

    Attributes:
        id: unique among the histories of an experiment.
        lines: the latest last.
        picture: name of its file.
    """

    id: str
    lines: tuple[Line, ...]
    picture: str


def history(seed: int, index: int, count: int, keep: PictureFolder, *, held_out: bool) -> History:
    """History `index` of a seed among those of so many lines.

    Args:
        seed: of all.
        index: of the history.
        count: lines.
        keep: where its picture goes.
        held_out: from a stream of its own, which no history to learn from is from.
    """
    side = "held-out" if held_out else "train"
    name = f"{side}-{count}-{index:05d}"
    lines = lines_of(Draw(f"history {seed} {name}"), count)
    canvas = Canvas(SIZE)
    write_lines(canvas, lines)
    return History(name, tuple(lines), keep.keep(png(canvas.finish())))
