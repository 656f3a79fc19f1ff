"""What each subject takes for an item: means of some columns, as bars side by side."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from duomem_jax.evals.describe import Description
from duomem_jax.evals.summary import Summary
from duomem_jax.report.pictures.canvas import bare, blank, colours, entitle_all

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def costs_figure(subjects: Sequence[Summary], description: Description, *, title: str) -> "Figure":
    """A panel for each column that the description counts as a cost.

    Args:
        subjects: top to bottom.
        description: its columns.
        title: above the picture.
    """
    columns = [column for column in description.columns if column.cost]
    fig = blank(height=1.3 + 0.42 * len(subjects))
    axes = fig.subplots(1, len(columns), sharey=True, squeeze=False)[0]
    places = range(len(subjects))
    inks = colours([s.subject for s in subjects])
    for ax, column in zip(axes, columns, strict=True):
        means = [s.means[column.title] for s in subjects]
        ax.barh(places, means, height=0.62, color=inks, zorder=2)
        for place, mean in zip(places, means, strict=True):
            ax.text(mean, place, f" {column.form.format(mean)}", va="center", fontsize=9)
        ax.set_xlim(0, 1.25 * max(means, default=1) or 1)  # room for the longest bar's number
        ax.locator_params(axis="x", nbins=4)
        ax.set_xlabel(column.title)
        bare(ax, grid="x")
    axes[0].set_yticks(places, [s.subject for s in subjects], fontsize=11)
    axes[0].invert_yaxis()
    entitle_all(fig, title)
    return fig
