"""Output folders: each belongs to one kind of work, and nothing of others is written over.

Datasets, runs of training and sets of games say of themselves what they are. What has no such file
of its own, a folder of results or an experiment, has a mark.
"""

import json
from pathlib import Path

from duomem_jax.base.errors import UserError
from duomem_jax.base.io import atomic_write_text, clear_os_errors, read_json

MARK = ".duomem.json"


def claim_folder(folder: str | Path, kind: str) -> Path:
    """Take a folder for one kind of work, or return to it.

    Args:
        folder: made where it is not there.
        kind: such as "results".

    Raises:
        UserError: the folder holds somebody else's files or work of another kind, or is not
            writable.
    """
    folder = Path(folder)
    mark = folder / MARK
    with clear_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if mark.exists():
            remedy = "choose another output folder"
            theirs = read_json(mark, missing=remedy, damaged=remedy).get("kind")
            if theirs != kind:
                raise UserError(f"{folder}: holds {theirs}, not {kind}; choose another folder")
        # Whatever is written later, such as report.md, could be somebody's own.
        elif any(folder.iterdir()):
            raise UserError(
                f"{folder}: is not empty, and no folder of {kind}; choose another output folder"
            )
        else:
            atomic_write_text(mark, json.dumps({"kind": kind}) + "\n")
    return folder
