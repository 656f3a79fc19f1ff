"""Output folders: each belongs to one kind of work, and nothing of others is written over.

Datasets, runs of training and sets of games say of themselves what they are. What has no such file
of its own, such as a folder of results, has a mark.
"""

import json
import os
from pathlib import Path

from duomem_jax.base.errors import UserError
from duomem_jax.base.io import atomic_dir, read_json

MARK = ".duomem.json"


def claim_folder(folder: str | os.PathLike, kind: str) -> Path:
    """Take a folder for one kind of work, or return to it; many processes may at once.

    Args:
        folder: made where it is not there.
        kind: such as "an audit".

    Raises:
        UserError: the folder holds somebody else's files or work of another kind, or is not
            writable.
    """
    mark = Path(folder, MARK)
    if not mark.exists():
        try:
            # Made whole beside it: no other process ever sees a folder without its mark.
            with atomic_dir(folder) as tmp:
                (tmp / MARK).write_text(json.dumps({"kind": kind}) + "\n")
        except UserError:
            # Another process may have been faster.
            if not mark.exists():
                raise
    remedy = "choose another output folder"
    theirs = read_json(mark, missing=remedy, damaged=remedy).get("kind")
    if theirs != kind:
        raise UserError(f"{folder}: holds {theirs}, not {kind}; {remedy}")
    return Path(folder)
