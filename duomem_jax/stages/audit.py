"""Adapters to memorization scores and their report."""

import dataclasses
from pathlib import Path
from typing import Annotated

import tyro

from duomem_jax.base.errors import UserError
from duomem_jax.base.prompts import system_text
from duomem_jax.evals.audit.audit import Audit
from duomem_jax.evals.audit.audit import audit as score_subjects
from duomem_jax.evals.audit.subjects import make_subjects
from duomem_jax.models.locate import model_path
from duomem_jax.report.audit import write_audit
from duomem_jax.stages.options import Folder
from duomem_jax.stages.played import world_of


def audit(
    out: Folder,
    /,
    student: str,
    train: str,
    held_out: str,
    adapters: tuple[str, ...] = (),
    teacher: str = "",
    how: Annotated[Audit, tyro.conf.arg(name="")] = Audit(),
) -> Path:
    """Memorization audit: which parts of episodes models reproduce from what comes before them.

    Args:
        out: folder for scores, report.md and reproduced.png.
        student: base model of the adapters, which is audited too.
        train: folder of the episodes that the adapters learnt from.
        held_out: folder of episodes of games that none of the models learnt from.
        adapters: name=folder for each adapter; a name given again is another seed of it.
        teacher: model whose memory may have been inherited; empty: none.
        how: sizes.

    Returns:
        The path of report.md.

    Raises:
        UserError: bad input, or scores of another audit.
    """
    pairs = []
    for text in adapters:
        # At the first =, so that a folder's name may have one, too.
        name, equals, folder = text.partition("=")
        if not equals:
            raise UserError(f"adapter {text!r}: give name=folder, such as text=runs/a/adapter")
        pairs.append((name, folder))
    subjects = make_subjects(model_path(student), pairs, model_path(teacher) if teacher else "")
    how = dataclasses.replace(how, system=system_text(how.system, world_of(train).prompt))
    scores = score_subjects(subjects, train, held_out, out, how)
    note = (
        f"Learnt from {train}, held out {held_out}; {how.suffix} tokens after {how.prefix} given, "
        f"{how.dtype}."
    )
    return write_audit(out, scores, note=note)
