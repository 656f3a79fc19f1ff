"""Lines of a score that changes with a number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from duomem_jax.evals.describe import Description
from duomem_jax.evals.stats import Interval
from duomem_jax.report.pictures.canvas import arms, bare, blank, colours, entitle_all

if TYPE_CHECKING:  # imported when something is drawn: it takes a second
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Point:
    """A score at one number.

    Attributes:
        x: the number.
        score: from 0 to 1, over all seeds.
        seeds: the score of each.
    """

    x: int
    score: Interval
    seeds: tuple[float, ...]


@dataclass(frozen=True)
class Line:
    """A subject at each number."""

    name: str
    points: Sequence[Point]


def curve_figure(
    panels: Mapping[str, Sequence[Line]], description: Description, *, title: str, axis: str
) -> "Figure":
    """The headline in per cent with 95 % intervals over a number, which is drawn as its logarithm.

    Args:
        panels: lines of the same subjects and numbers, side by side, by the panels' names.
        description: how the headline is called.
        title: above the picture.
        axis: what the number is.
    """
    fig = blank(height=4.5)
    axes = fig.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for ax, (name, lines) in zip(axes, panels.items(), strict=True):
        _draw(ax, lines)
        ax.set_title(name, loc="left", fontsize=10)
    axes[0].set_ylim(0, 103)
    axes[0].set_ylabel(description.axis)
    # Below, since lines may run anywhere.
    fig.legend(
        *axes[0].get_legend_handles_labels(),
        frameon=False,
        title=axis,
        loc="outside lower center",
        ncols=3,
    )
    entitle_all(fig, title)
    return fig


def _draw(ax: "Axes", lines: Sequence[Line]) -> None:
    for i, (line, colour) in enumerate(zip(lines, colours([x.name for x in lines]), strict=True)):
        # Side by side, or one line's intervals would hide the other's.
        xs = [point.x * 1.03**i for point in line.points]
        means, low, high = arms([point.score for point in line.points])
        ax.errorbar(
            xs, means, [low, high], fmt="o-", color=colour, capsize=3, label=line.name, zorder=3
        )
        for x, point in zip(xs, line.points, strict=True):
            each = [100 * score for score in point.seeds]
            ax.scatter([x] * len(each), each, s=9, color=colour, alpha=0.5, zorder=2)
    ax.set_xscale("log")
    numbers = [point.x for point in lines[0].points]
    ax.set_xticks(numbers, [f"{n:,}" for n in numbers])
    ax.minorticks_off()
    bare(ax, grid="both")
