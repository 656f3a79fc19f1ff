"""Adapters to memorization scores."""

from collections.abc import Sequence

from duomem_jax.base.errors import UserError
from duomem_jax.evals.audit.audit import Audit
from duomem_jax.evals.audit.audit import audit as run_audit
from duomem_jax.evals.audit.scores import AuditScores
from duomem_jax.evals.audit.subjects import make_subjects
from duomem_jax.models.locate import model_path


def audit(
    student: str,
    adapters: Sequence[str],
    teacher: str,
    train: str,
    held_out: str,
    out: str,
    how: Audit = Audit(),
) -> AuditScores:
    """Score base, students and teacher on what follows prefixes of episodes.

    Args:
        student: base model.
        adapters: `name=folder` each; a name given again is another seed of it.
        teacher: model; empty: none.
        train: folder of the episodes that were learnt from.
        held_out: folder of episodes of other games.
        out: folder of the scores.
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
    return run_audit(subjects, train, held_out, out, how)
