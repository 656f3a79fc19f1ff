"""Writing a page: one file, with its style and its script inside."""

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from duomem_jax.base.io import atomic_write_text, check_free
from duomem_jax.report.page.frames import Frame

TEMPLATE = "replay.html.j2"


def write_page(out: Path, title: str, frames: Sequence[Frame]) -> None:
    """Write a page that shows frames one after another.

    Args:
        out: file to write; nothing may be there.
        title: of the page.
        frames: in order.

    Raises:
        UserError: there is a file, or it cannot be written.
    """
    check_free(out)
    # Whatever stands in an episode is text here, and never markup.
    environment = Environment(
        loader=PackageLoader("duomem_jax.report.page", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
    )
    page = environment.get_template(TEMPLATE).render(title=title, frames=frames)
    atomic_write_text(out, page)
