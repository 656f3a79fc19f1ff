"""What each model reproduces of games that were learnt from and of others."""

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from duomem_jax.evals.audit.extraction import Extraction
from duomem_jax.evals.audit.windows import HELD_OUT, TRAIN
from duomem_jax.evals.stats import Interval
from duomem_jax.report.pictures.canvas import PALETTE, arms, bare, blank, entitle_all, write_picture

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SIDES = ((TRAIN, -0.13, PALETTE[4], "o"), (HELD_OUT, 0.13, PALETTE[2], "s"))  # place, colour, mark


def draw_rates(path: str | os.PathLike, rows: Sequence[Extraction], *, title: str) -> None:
    """Write both rates of each model, training and held-out games beside each other.

    Args:
        path: of the PNG.
        rows: summaries of all models and sets.
        title: above the picture.
    """
    # In the order of the audit: base, students, teacher.
    models = list(dict.fromkeys(row.model for row in rows))
    fig = blank(height=1.7 + 0.5 * len(models))
    # A panel of nothing but zeros would take half of the picture.
    rates = {"extractable": "rate", "replayed": "replayed"}
    shown = {name: rate for name, rate in rates.items() if any(_above_0(r, rate) for r in rows)}
    axes = fig.subplots(1, len(shown) or 1, sharey=True, squeeze=False)[0]
    for ax, (name, rate) in zip(axes, (shown or rates).items(), strict=False):
        for side, offset, colour, mark in SIDES:
            # No rate of replaying where no window of the set holds a word of the player.
            own = [row for row in rows if row.set == side and getattr(row, rate) is not None]
            places = [models.index(row.model) + offset for row in own]
            _draw(ax, [getattr(row, rate) for row in own], places, colour, mark, f"{side} games")
        ax.set_xlabel(f"{name} windows, % (95 % interval)")
        ax.set_xlim(left=0)
        bare(ax, grid="x")
    axes[0].set_yticks(range(len(models)), models, fontsize=11)
    axes[0].invert_yaxis()
    fig.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower right", ncols=2, frameon=False
    )
    entitle_all(fig, title)
    write_picture(path, fig)


def _above_0(row: Extraction, rate: str) -> bool:
    found: Interval | None = getattr(row, rate)
    return found is not None and found.mean > 0


def _draw(
    ax: "Axes",
    rates: Sequence[Interval],
    places: Sequence[float],
    colour: str,
    mark: str,
    label: str,
) -> None:
    means, low, high = arms(rates)
    ax.errorbar(
        means,
        places,
        xerr=[low, high],
        label=label,
        fmt=mark,
        color=colour,
        capsize=3,
        clip_on=False,  # a rate of 0 has half of its mark left of the axis
        zorder=3,
    )
