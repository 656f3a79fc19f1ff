"""What all pictures are drawn on: size, colours, axes, files."""

import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from duomem_jax.base.io import atomic_write_bytes
from duomem_jax.evals.stats import Interval

if TYPE_CHECKING:  # imported when something is drawn: it takes a second
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito's palette: told apart by colour-blind readers and in grey.
PALETTE = ("#999999", "#56B4E9", "#0072B2", "#E69F00", "#D55E00", "#009E73", "#CC79A7", "#F0E442")
# The usual players keep their colour in every report, whichever of them are present.
PLAYER_COLOUR = {
    "no memory": PALETTE[0],
    "self memory": PALETTE[1],
    "teacher memory": PALETTE[2],
    "lora": PALETTE[3],
    "both": PALETTE[4],
    "teacher": PALETTE[5],
}
GRID, INK, PALE_INK = "#dddddd", "#222222", "#555555"
WIDTH = 8  # inches: a column of text
_LINE = 0.05  # of an axis' height, between two names


class Arms(NamedTuple):
    """Intervals as matplotlib takes them, in per cent.

    Attributes:
        means: of each.
        low: from each mean down to the lower end.
        high: and up to the upper one.
    """

    means: list[float]
    low: list[float]
    high: list[float]


def arms(intervals: Sequence[Interval]) -> Arms:
    """Intervals of shares."""
    means = [100 * x.mean for x in intervals]
    low = [100 * (x.mean - x.low) for x in intervals]
    high = [100 * (x.high - x.mean) for x in intervals]
    return Arms(means, low, high)


def blank(height: float) -> "Figure":
    """A figure of its own, so that pyplot's global state and interactive backends stay alone."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    fig = Figure(figsize=(WIDTH, height), dpi=150, layout="constrained")
    FigureCanvasAgg(fig)
    return fig


def bare(ax: "Axes", *, grid: Literal["x", "both"]) -> None:
    """Take off an axis' frame, and draw a grid."""
    ax.grid(axis=grid, color=GRID, zorder=0)
    ax.spines[["top", "right"]].set_visible(False)
    # Bars stand beside their names, where a line and its marks say nothing.
    if grid == "x":
        ax.spines["left"].set_visible(False)
        ax.tick_params(axis="y", length=0)


def entitle(ax: "Axes", title: str, pad: float | None = None) -> None:
    """Put a title above an axis, `pad` points away."""
    ax.set_title(title, loc="left", fontsize=13, fontweight="bold", pad=pad)


def entitle_all(fig: "Figure", title: str) -> None:
    """Put a title above all panels of a figure."""
    fig.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold")


def name_points(ax: "Axes", points: Sequence[tuple[float, float, str]]) -> None:
    """Names in a column on the right, each with a line to its point.

    Args:
        ax: with its final limits.
        points: x, y and name.
    """
    left, right = ax.get_xlim()
    bottom, top = ax.get_ylim()
    points = sorted(points, key=lambda point: -point[1])
    heights = _apart([y for _, y, _ in points], _LINE * (top - bottom))
    for (x, y, name), height in zip(points, heights, strict=True):
        ax.annotate(
            name,
            (x, y),
            (right + 0.03 * (right - left), height),
            annotation_clip=False,
            va="center",
            fontsize=9,
            color=INK,
            arrowprops={
                "arrowstyle": "-",
                "color": "#bbbbbb",
                "lw": 0.7,
                "relpos": (0, 0.5),  # from the left end of the name
                "shrinkB": 4,
            },
        )


def _apart(heights: Sequence[float], gap: float) -> list[float]:
    """Falling heights moved apart to at least `gap`, as a whole neither up nor down."""
    moved: list[float] = []
    for height in heights:
        moved.append(min(height, moved[-1] - gap) if moved else height)
    down = (sum(heights) - sum(moved)) / max(len(heights), 1)
    return [height + down for height in moved]


def colours(names: Sequence[str]) -> list[str]:
    """A colour per subject: the usual players always the same one, others what is left over."""
    # Experiments capitalise names as they like: "LoRA", "lora".
    known = {n: PLAYER_COLOUR[n.lower()] for n in names if n.lower() in PLAYER_COLOUR}
    free = [c for c in PALETTE if c not in known.values()] or list(PALETTE)
    others = [n for n in names if n not in known]
    return [known.get(n) or free[others.index(n) % len(free)] for n in names]


def write_picture(path: str | os.PathLike, fig: "Figure") -> None:
    """Write a figure as a PNG at `path`, and as an SVG beside it."""
    from matplotlib import rc_context

    # The same numbers give the same files: no random names in them, and no date.
    with rc_context({"svg.hashsalt": "duomem_jax"}):
        for form in ("png", "svg"):
            # Drawn in memory, so that a file appears whole or not at all.
            out = io.BytesIO()
            fig.savefig(out, format=form, metadata={"Date": None} if form == "svg" else None)
            atomic_write_bytes(Path(path).with_suffix(f".{form}"), out.getvalue())
