"""Adapters to memorization scores."""

from collections.abc import Sequence

from duomem_jax.base.errors import UserError
from duomem_jax.evals.audit.audit import Audit, Scores, make_subjects
from duomem_jax.evals.audit.audit import audit as run_audit
from duomem_jax.models.locate import model_path


def audit(
    out: str,
    student: str,
    adapters: Sequence[str],
    teacher: str,
    train: str,
    held_out: str,
    how: Audit = Audit(),
) -> Scores:
    """Score base, students and teacher on what follows prefixes of episodes.

    Args:
        out: folder of the scores.
        student: base model.
        adapters: `name=folder` each; a name given again is another seed of it.
        teacher: model; empty: none.
        train: folder of the episodes that were learnt from.
        held_out: folder of episodes of other games.
        how: sizes.

    Raises:
        UserError: bad input, or scores of another audit.
    """
    pairs = []
    for text in adapters:
        name, equals, folder = text.partition("=")
        if not equals:
            raise UserError(f"adapter {text!r}: give name=folder, such as text=runs/a/adapter")
        pairs.append((name, folder))
    subjects = make_subjects(model_path(student), pairs, model_path(teacher) if teacher else "")
    return run_audit(out, subjects, train, held_out, how)
