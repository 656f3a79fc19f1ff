"""A bar for each subject: the headline with its interval."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from duomem_jax.evals.describe import Description
from duomem_jax.evals.summary import Summary
from duomem_jax.report.pictures.canvas import (
    INK,
    PALE_INK,
    arms,
    bare,
    blank,
    colours,
    entitle,
    entitle_all,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


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
    fig = blank(height=1.5 + 0.52 * len(subjects))
    ax = fig.add_subplot()
    _bars(ax, subjects)
    ax.set_yticks(range(len(subjects)), [s.subject for s in subjects], fontsize=11)
    # Bars are drawn upwards from 0; the first subject belongs on top.
    ax.invert_yaxis()
    ax.set_xlabel(description.axis)
    entitle(ax, title, pad=20)
    ax.text(0, 1.02, subtitle, transform=ax.transAxes, fontsize=9.5, color=PALE_INK)
    return fig


def panels_figure(
    panels: Mapping[str, Sequence[Summary]], description: Description, *, title: str
) -> "Figure":
    """The bars of the same subjects on several sets of items, side by side.

    Args:
        panels: by the name of the set; the same subjects in each, top to bottom.
        description: how the headline is called.
        title: above the picture.
    """
    names = [s.subject for s in next(iter(panels.values()))]
    fig = blank(height=1.5 + 0.42 * len(names))
    axes = fig.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for ax, (name, subjects) in zip(axes, panels.items(), strict=True):
        _bars(ax, subjects)
        ax.set_title(name, loc="left", fontsize=10.5)
        ax.set_xlabel(description.axis)
    axes[0].set_yticks(range(len(names)), names, fontsize=11)
    axes[0].invert_yaxis()
    entitle_all(fig, title)
    return fig


def _bars(ax: "Axes", subjects: Sequence[Summary]) -> None:
    means, low, high = arms([s.headline for s in subjects])
    places = range(len(subjects))
    ax.barh(places, means, height=0.62, color=colours([s.subject for s in subjects]), zorder=2)
    ax.errorbar(means, places, xerr=[low, high], fmt="none", ecolor=INK, capsize=4, zorder=3)
    for place, subject, mean in zip(places, subjects, means, strict=True):
        # Beside the upper end of the interval, where neither bar nor whisker can hide it.
        ax.text(100 * subject.headline.high + 1.5, place, f"{mean:.1f}", va="center", fontsize=10)
    ax.set_xlim(0, 108)  # room for the number beside a bar at 100
    ax.set_xticks(range(0, 101, 20))
    bare(ax, grid="x")
