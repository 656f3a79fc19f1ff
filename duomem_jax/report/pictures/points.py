"""The headline of each subject over another number of it: distance to a teacher, or recall."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from duomem_jax.evals.describe import Description
from duomem_jax.evals.stats import Interval
from duomem_jax.report.pictures.canvas import (
    PALETTE,
    arms,
    bare,
    blank,
    entitle,
    name_points,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Placed:
    """A subject in the picture.

    Attributes:
        name: of the subject.
        x: the other number.
        score: the headline, from 0 to 1.
    """

    name: str
    x: float
    score: Interval


def points_figure(
    points: Sequence[Placed], description: Description, *, title: str, axis: str
) -> "Figure":
    """A point with its interval for each subject, named beside the picture.

    Both axes begin at 0, where small differences look small.

    Args:
        points: subjects.
        description: how the headline is called.
        title: above the picture.
        axis: what the other number is.
    """
    fig = blank(height=4.5)
    ax = fig.add_subplot()
    means, low, high = arms([point.score for point in points])
    xs = [point.x for point in points]
    ax.errorbar(xs, means, [low, high], fmt="o", color=PALETTE[2], capsize=3, zorder=3)
    ax.set_xlim(0, 1.05 * max(xs, default=1) or 1)
    ax.set_ylim(0, 103)
    ax.set_xlabel(axis)
    ax.set_ylabel(description.axis)
    bare(ax, grid="both")
    name_points(ax, [(p.x, mean, p.name) for p, mean in zip(points, means, strict=True)])
    entitle(ax, title)
    return fig
