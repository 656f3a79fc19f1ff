"""Memories of a store: how often each was of use, and how near each is to a question."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from duomem_jax.memory.store.entry import Entry, Found
from duomem_jax.report.pictures.canvas import (
    INK,
    PALE_INK,
    PALETTE,
    bare,
    blank,
    entitle,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LETTERS = 52  # of a memory, or of a question


def uses_figure(entries: Sequence[Entry], *, title: str) -> "Figure":
    """A bar for each memory: how often it was shown, and how many of those ended well.

    Args:
        entries: top to bottom.
        title: above the picture.
    """
    fig, ax = _bars(entries, title)
    places = range(len(entries))
    ax.barh(places, [e.uses for e in entries], height=0.62, color=PALETTE[0], zorder=2)
    ax.barh(places, [e.successes for e in entries], height=0.62, color=PALETTE[5], zorder=2)
    for place, entry in zip(places, entries, strict=True):
        label = f"  {entry.successes} of {entry.uses}"
        ax.text(entry.uses, place, label, va="center", fontsize=9, color=INK)
    ax.locator_params(axis="x", integer=True)
    ax.set_xlabel("times shown; green: it ended well")
    return fig


def scores_figure(found: Sequence[Found], *, title: str) -> "Figure":
    """A bar for each memory that a question finds: its score.

    Args:
        found: best first.
        title: above the picture; the question, for instance.
    """
    fig, ax = _bars([entry for entry, _ in found], title)
    places, scores = range(len(found)), [score for _, score in found]
    ax.barh(places, scores, height=0.62, color=PALETTE[2], zorder=2)
    for place, score in zip(places, scores, strict=True):
        # Outside of its bar, whichever way that goes.
        side = "left" if score >= 0 else "right"
        ax.text(score, place, f" {score:.2f} ", va="center", ha=side, fontsize=9, color=INK)
    ax.set_xlabel("score")
    return fig


def _bars(entries: Sequence[Entry], title: str) -> "tuple[Figure, Axes]":
    """An axis with a place for each memory."""
    fig = blank(height=1.4 + 0.36 * len(entries))
    ax = fig.add_subplot()
    names = [_short(entry.key or entry.text) for entry in entries]
    ax.set_yticks(range(len(names)), names, fontsize=9, color=PALE_INK)
    ax.set_ylim(len(entries) - 0.5, -0.5)  # the first on top
    ax.margins(x=0.15)  # room for the numbers
    bare(ax, grid="x")
    entitle(ax, _short(title))
    return fig, ax


def _short(text: str) -> str:
    """The start of a text, on one line; `$` is no sign of a formula."""
    text = " ".join(text.split())
    text = text if len(text) <= LETTERS else text[: LETTERS - 1] + "\u2026"
    return text.replace("$", r"\$")
