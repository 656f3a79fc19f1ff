"""Pictures of a comparison, as PNG: a bar per arm, and success against the distance."""

import io
import os
from collections.abc import Sequence

from duomem_jax.base.io import atomic_write_bytes
from duomem_jax.evals.games.summary import ArmSummary
from duomem_jax.evals.stats import Interval

# Okabe and Ito's palette: told apart by colour-blind readers and in grey.
PALETTE = ("#999999", "#56B4E9", "#0072B2", "#E69F00", "#D55E00", "#009E73", "#CC79A7", "#F0E442")
# The usual arms keep their colour in every report, whichever of them are present.
ARM_COLOUR = {
    "no memory": PALETTE[0],
    "self memory": PALETTE[1],
    "teacher memory": PALETTE[2],
    "lora": PALETTE[3],
    "both": PALETTE[4],
    "teacher": PALETTE[5],
}


def draw_success(
    path: str | os.PathLike, arms: Sequence[ArmSummary], *, title: str, subtitle: str = ""
) -> None:
    """Write horizontal bars of success in per cent with 95 % intervals.

    Args:
        path: PNG to write.
        arms: top to bottom.
        title: above the picture.
        subtitle: smaller, below the title: what was measured.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    # A Figure of its own: pyplot's global state and any interactive backend stay untouched.
    fig = Figure(figsize=(8, 1.5 + 0.52 * len(arms)), dpi=150, layout="constrained")
    FigureCanvasAgg(fig)
    ax = fig.add_subplot()
    means = [100 * a.success.mean for a in arms]
    low = [m - 100 * a.success.low for m, a in zip(means, arms, strict=True)]
    high = [100 * a.success.high - m for m, a in zip(means, arms, strict=True)]
    places = range(len(arms))
    ax.barh(places, means, height=0.62, color=colours([a.arm for a in arms]), zorder=2)
    ax.errorbar(means, places, xerr=[low, high], fmt="none", ecolor="#222222", capsize=4, zorder=3)
    for place, arm, mean in zip(places, arms, means, strict=True):
        # Beside the upper end of the interval, where neither bar nor whisker can hide it.
        ax.text(100 * arm.success.high + 1.5, place, f"{mean:.1f}", va="center", fontsize=10)
    ax.set_yticks(places, [a.arm for a in arms], fontsize=11)
    ax.invert_yaxis()
    ax.set_xlim(0, 108)  # room for the number beside a bar at 100
    ax.set_xticks(range(0, 101, 20))
    ax.set_xlabel("games won, % (95 % interval)")
    ax.grid(axis="x", color="#dddddd", zorder=0)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
    ax.set_title(title, loc="left", fontsize=13, fontweight="bold", pad=20)
    ax.text(0, 1.02, subtitle, transform=ax.transAxes, fontsize=9.5, color="#555555")
    out = io.BytesIO()
    fig.savefig(out, format="png")
    atomic_write_bytes(path, out.getvalue())


def draw_distance(
    path: str | os.PathLike, points: Sequence[tuple[str, float, Interval]], *, title: str
) -> None:
    """Write success against the distance to the teacher, one point per recipe.

    Args:
        path: PNG to write.
        points: (name, KL to the teacher in nats a token, success with its interval).
        title: above the picture.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    fig = Figure(figsize=(8, 5), dpi=150, layout="constrained")
    FigureCanvasAgg(fig)
    ax = fig.add_subplot()
    for i, (name, distance, success) in enumerate(points):
        mean, low, high = (100 * v for v in (success.mean, success.low, success.high))
        colour, mark = PALETTE[i % len(PALETTE)], "os^Dv"[i // len(PALETTE) % 5]
        error = [[mean - low], [high - mean]]
        ax.errorbar(distance, mean, error, fmt=mark, color=colour, capsize=3, label=name, zorder=3)
    ax.set_xlabel("KL(teacher, student) on the teacher's replies in the test games, nats a token")
    ax.set_ylabel("games won, % (95 % interval)")
    ax.grid(color="#dddddd", zorder=0)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(fontsize=8.5, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    ax.set_title(title, loc="left", fontsize=13, fontweight="bold")
    out = io.BytesIO()
    fig.savefig(out, format="png")
    atomic_write_bytes(path, out.getvalue())


def colours(names: Sequence[str]) -> list[str]:
    """A colour per arm: the usual arms always the same one, others what is left over."""
    known = {n: ARM_COLOUR[n.lower()] for n in names if n.lower() in ARM_COLOUR}
    free = [c for c in PALETTE if c not in known.values()] or list(PALETTE)
    others = [n for n in names if n not in known]
    return [known.get(n) or free[others.index(n) % len(free)] for n in names]
