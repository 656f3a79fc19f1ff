"""The distance to the teacher over the turns of a game."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from duomem_jax.report.pictures.canvas import (
    PALETTE,
    bare,
    blank,
    entitle,
    name_points,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def turns_figure(lines: Mapping[str, Sequence[float]], *, title: str) -> "Figure":
    """A line for each adapter, named at its end.

    Args:
        lines: KL(teacher, student) of each turn in nats a token, by name.
        title: above the picture.
    """
    fig = blank(height=4.5)
    ax = fig.add_subplot()
    for i, values in enumerate(lines.values()):
        # Colours come again after eight lines, with another stroke.
        stroke = ("-", "--", ":")[i // len(PALETTE) % 3]
        ax.plot(range(1, len(values) + 1), values, stroke, color=PALETTE[i % len(PALETTE)])
    ax.set_xlim(1, max(map(len, lines.values()), default=2))
    ax.set_ylim(bottom=0)
    ax.set_xlabel("turn of the game")
    ax.set_ylabel("KL(teacher, student), nats a token")
    bare(ax, grid="both")
    name_points(ax, [(len(values), values[-1], name) for name, values in lines.items() if values])
    entitle(ax, title)
    return fig
