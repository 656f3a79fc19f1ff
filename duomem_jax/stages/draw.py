"""Pictures of a store of memories."""

from pathlib import Path

from duomem_jax.base.errors import UserError
from duomem_jax.base.io import check_free, readable
from duomem_jax.base.ranges import Count, checked
from duomem_jax.memory.store.entry import Found
from duomem_jax.memory.store.store import Store
from duomem_jax.report.pictures.canvas import write_picture
from duomem_jax.report.pictures.memories import scores_figure, uses_figure
from duomem_jax.stages.memory import File, Place, existing


@checked
def draw(store: File, picture: Place, /, query: str = "", k: Count = 20, who: str = "") -> str:
    """Draw how often memories were of use, or how well they fit a question.

    Args:
        store: file of the store.
        picture: to write, a PNG; an SVG lies beside it.
        query: any text; empty: how often each was shown, and how that ended (`duomem memory
            credit` counts it).
        k: memories at most, the most used or the best ones.
        who: whose memories; empty: all.

    Raises:
        UserError: no such store, no memory to draw, the picture is no .png file or there already.
    """
    path = Path(picture)
    if path.suffix != ".png":
        raise UserError(f"{picture}: is no name of a PNG; give one that ends in .png")
    vector = path.with_suffix(".svg")
    check_free(path)
    check_free(vector)
    with existing(store) as opened:
        if query:
            found = opened.recall(query, k=k, who=who or None)
        else:
            found = _most_used(opened, who)[:k]
    if not found:
        raise UserError(f"{store}: has no such memory to draw; `duomem memory show` lists them")
    if query:
        figure = scores_figure(found, title=readable(query))
    else:
        figure = uses_figure([entry for entry, _ in found], title="What was of use")
    write_picture(path, figure)
    return f"{picture}: {len(found):,} drawn, also as {vector}"


def _most_used(store: Store, who: str) -> list[Found]:
    """Memories that were shown, with how often, the most used first."""
    used = [Found(entry, entry.uses) for entry in store.entries(who=who or None) if entry.uses]
    return sorted(used, key=lambda found: (-found.score, -found.entry.successes, found.entry.id))
