"""The headline of each subject on each kind of items, as a coloured table."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from duomem_jax.evals.describe import Description
from duomem_jax.evals.summary import Summary
from duomem_jax.report.pictures.canvas import blank, entitle

if TYPE_CHECKING:
    from matplotlib.figure import Figure

DARK = 55  # per cent up to which a cell's number is white


def kinds_figure(subjects: Sequence[Summary], description: Description, *, title: str) -> "Figure":
    """A cell for each subject and kind, with its number; kinds that nobody was asked are omitted.

    Args:
        subjects: top to bottom.
        description: names of kinds, in their order.
        title: above the picture.
    """
    found = {kind for subject in subjects for kind in subject.by_kind}
    kinds = [kind for kind in description.kinds if kind in found]
    kinds += sorted(found - {*kinds})
    fig = blank(height=1.3 + 0.42 * len(subjects))
    ax = fig.add_subplot()
    cells = [
        [100 * s.by_kind[kind].mean if kind in s.by_kind else float("nan") for kind in kinds]
        for s in subjects
    ]
    # Cividis: read alike by colour-blind readers, and in grey.
    ax.imshow(cells, cmap="cividis", vmin=0, vmax=100, aspect="auto")
    for y, row in enumerate(cells):
        for x, value in enumerate(row):
            if value == value:  # a subject may lack a kind
                ink = "white" if value < DARK else "black"
                ax.text(x, y, f"{value:.0f}", ha="center", va="center", color=ink, fontsize=10)
    ax.set_yticks(range(len(subjects)), [s.subject for s in subjects], fontsize=11)
    ax.set_xticks(range(len(kinds)), [description.kinds.get(kind, kind) for kind in kinds])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_xlabel(f"{description.title}, %, per {description.kind}")
    entitle(ax, title)
    return fig
