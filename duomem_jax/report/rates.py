"""What each model reproduces of games that were learnt from and of others, as a PNG."""

import io
import os
from collections.abc import Sequence

from duomem_jax.base.io import atomic_write_bytes
from duomem_jax.evals.audit.extraction import Extraction
from duomem_jax.evals.audit.windows import HELD_OUT, TRAIN
from duomem_jax.evals.stats import Interval
from duomem_jax.report.picture import PALETTE

SIDES = ((TRAIN, -0.13, PALETTE[4], "o"), (HELD_OUT, 0.13, PALETTE[2], "s"))  # place, colour, mark


def draw_rates(path: str | os.PathLike, rows: Sequence[Extraction], *, title: str) -> None:
    """Write both rates of each model, training and held-out games beside each other.

    Args:
        path: PNG to write.
        rows: summaries of all models and sets.
        title: above the picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # In the order of the audit: base, students, teacher.
    models = list(dict.fromkeys(row.model for row in rows))
    fig = Figure(figsize=(8, 1.7 + 0.5 * len(models)), dpi=150, layout="constrained")
    FigureCanvasAgg(fig)
    axes = fig.subplots(1, 2, sharey=True)
    for ax, rate, name in zip(axes, ("rate", "replayed"), ("extractable", "replayed"), strict=True):
        for side, offset, colour, mark in SIDES:
            # No rate of replaying where no window of the set holds a word of the player.
            own = [row for row in rows if row.set == side and getattr(row, rate) is not None]
            places = [models.index(row.model) + offset for row in own]
            _draw(ax, [getattr(row, rate) for row in own], places, colour, mark, f"{side} games")
        ax.set_xlabel(f"{name} windows, % (95 % interval)")
        ax.set_xlim(left=0)
        ax.grid(axis="x", color="#dddddd", zorder=0)
        ax.spines[["top", "right", "left"]].set_visible(False)
        ax.tick_params(axis="y", length=0)
    axes[0].set_yticks(range(len(models)), models, fontsize=11)
    axes[0].invert_yaxis()
    fig.legend(
        *axes[0].get_legend_handles_labels(), loc="outside lower right", ncols=2, frameon=False
    )
    fig.suptitle(title, x=0.01, ha="left", fontsize=13, fontweight="bold")
    out = io.BytesIO()
    fig.savefig(out, format="png")
    atomic_write_bytes(path, out.getvalue())


def _draw(
    ax, rates: Sequence[Interval], places: Sequence[float], colour: str, mark: str, label: str
) -> None:
    means = [100 * r.mean for r in rates]
    low = [100 * (r.mean - r.low) for r in rates]
    high = [100 * (r.high - r.mean) for r in rates]
    # Unclipped: a rate of 0 has half of its mark left of the axis.
    style = {"fmt": mark, "color": colour, "capsize": 3, "clip_on": False, "zorder": 3}
    ax.errorbar(means, places, xerr=[low, high], label=label, **style)
