"""Any artefact, for a person to read."""

from pathlib import Path

from duomem_jax.base.errors import UserError
from duomem_jax.base.parse import json_lines
from duomem_jax.report.show import Which, shown, stored, write_shown
from duomem_jax.stages.options import Folder


def show(
    path: Folder,
    /,
    which: Which = Which(),
    tokenizer: str = "",
    html: str = "",
    memory: str = "",
    json: bool = False,
) -> str:
    """Show what lies at a path: episodes, memories, dialogues, rows, an adapter, results, a report.

    Args:
        path: what any other command has written.
        which: which records of it.
        tokenizer: model whose tokenizer made packed rows; without it they are shown as ids.
        html: file to write instead: a page on which an episode or a dialogue is played again.
        memory: bank of the memories that an episode on a page was shown.
        json: records as they are stored, one a line, or what is known of the rest in one line.

    Returns:
        What it is, and the records that were asked for.

    Raises:
        UserError: nothing that can be shown, or it is damaged; there is a file at `html`, or `json`
            is wanted besides it.
    """
    if html and json:
        raise UserError("a page is no JSON; give either html or json")
    if html:
        return write_shown(Path(path), which, Path(html), memory)
    if json:
        return json_lines(stored(Path(path), which))
    return shown(Path(path), which, tokenizer)
