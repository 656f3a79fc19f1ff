"""Pictures of a comparison, as PNG: a bar per subject, and the headline against the distance."""

import io
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from duomem_jax.base.io import atomic_write_bytes
from duomem_jax.evals.describe import Description
from duomem_jax.evals.stats import Interval
from duomem_jax.evals.summary import Summary

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


def draw_headlines(
    path: str | os.PathLike,
    subjects: Sequence[Summary],
    description: Description,
    *,
    title: str,
    subtitle: str = "",
) -> None:
    """Write `headlines_figure` as a PNG at `path`."""
    write_png(path, headlines_figure(subjects, description, title=title, subtitle=subtitle))


def headlines_figure(
    subjects: Sequence[Summary], description: Description, *, title: str, subtitle: str = ""
) -> "Figure":
    """Horizontal bars of the headline in per cent with 95 % intervals.

    Args:
        subjects: top to bottom.
        description: how the headline is called.
        title: above the picture.
        subtitle: smaller, below the title: what was measured.
    """
    fig, ax = blank(height=1.5 + 0.52 * len(subjects))
    means = [100 * s.headline.mean for s in subjects]
    # matplotlib takes the arms of an error bar, not its ends.
    low = [m - 100 * s.headline.low for m, s in zip(means, subjects, strict=True)]
    high = [100 * s.headline.high - m for m, s in zip(means, subjects, strict=True)]
    places = range(len(subjects))
    ax.barh(places, means, height=0.62, color=colours([s.subject for s in subjects]), zorder=2)
    ax.errorbar(means, places, xerr=[low, high], fmt="none", ecolor="#222222", capsize=4, zorder=3)
    for place, subject, mean in zip(places, subjects, means, strict=True):
        # Beside the upper end of the interval, where neither bar nor whisker can hide it.
        ax.text(100 * subject.headline.high + 1.5, place, f"{mean:.1f}", va="center", fontsize=10)
    ax.set_yticks(places, [s.subject for s in subjects], fontsize=11)
    # Bars are drawn upwards from 0; the first subject belongs on top.
    ax.invert_yaxis()
    ax.set_xlim(0, 108)  # room for the number beside a bar at 100
    ax.set_xticks(range(0, 101, 20))
    ax.set_xlabel(description.axis)
    ax.grid(axis="x", color="#dddddd", zorder=0)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    ax.set_title(title, loc="left", fontsize=13, fontweight="bold", pad=20)
    ax.text(0, 1.02, subtitle, transform=ax.transAxes, fontsize=9.5, color="#555555")
    return fig


def draw_distance(
    path: str | os.PathLike,
    points: Sequence[tuple[str, float, Interval]],
    description: Description,
    *,
    title: str,
) -> None:
    """Write `distance_figure` as a PNG at `path`."""
    write_png(path, distance_figure(points, description, title=title))


def distance_figure(
    points: Sequence[tuple[str, float, Interval]], description: Description, *, title: str
) -> "Figure":
    """The headline against the distance to the teacher, one point per recipe.

    Args:
        points: (name, KL to the teacher in nats a token, headline with its interval).
        description: how the headline is called.
        title: above the picture.
    """
    fig, ax = blank(height=5)
    for i, (name, distance, headline) in enumerate(points):
        mean, low, high = (100 * v for v in (headline.mean, headline.low, headline.high))
        # Colours come again after eight recipes, with another mark.
        colour, mark = PALETTE[i % len(PALETTE)], "os^Dv"[i // len(PALETTE) % 5]
        error = [[mean - low], [high - mean]]
        ax.errorbar(distance, mean, error, fmt=mark, color=colour, capsize=3, label=name, zorder=3)
    ax.set_xlabel("KL(teacher, student) on the teacher's replies in the test games, nats a token")
    ax.set_ylabel(description.axis)
    ax.grid(color="#dddddd", zorder=0)
    ax.spines[["top", "right"]].set_visible(False)
    # Beside the axes: among the points it would hide some of them.
    ax.legend(fontsize=8.5, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    ax.set_title(title, loc="left", fontsize=13, fontweight="bold")
    return fig


def blank(height: float) -> tuple["Figure", "Axes"]:
    """A figure of its own, so that pyplot's global state and interactive backends stay alone."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    fig = Figure(figsize=(8, height), dpi=150, layout="constrained")
    FigureCanvasAgg(fig)
    return fig, fig.add_subplot()


def write_png(path: str | os.PathLike, fig: "Figure") -> None:
    """Write a figure as a PNG at `path`."""
    # Drawn in memory, so that the file appears whole or not at all.
    out = io.BytesIO()
    fig.savefig(out, format="png")
    atomic_write_bytes(path, out.getvalue())


def colours(names: Sequence[str]) -> list[str]:
    """A colour per subject: the usual players always the same one, others what is left over."""
    # Experiments capitalise names as they like: "LoRA", "lora".
    known = {n: PLAYER_COLOUR[n.lower()] for n in names if n.lower() in PLAYER_COLOUR}
    free = [c for c in PALETTE if c not in known.values()] or list(PALETTE)
    others = [n for n in names if n not in known]
    return [known.get(n) or free[others.index(n) % len(free)] for n in names]
