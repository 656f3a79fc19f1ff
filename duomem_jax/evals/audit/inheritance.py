"""What students have of their teacher's memory, and whether one has more than another.

As in arXiv 2601.15394, what matters are the windows that the teacher reproduces and a model of the
student's size does not; here that model is the student's base, which was not trained on them.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from duomem_jax.evals.audit.audit import BASE, TEACHER, Scores
from duomem_jax.evals.audit.extraction import CRITERIA, counts, hits, rate
from duomem_jax.evals.audit.windows import HELD_OUT, TRAIN
from duomem_jax.evals.stats import Interval, cluster_bootstrap, mcnemar_exact


@dataclass(frozen=True)
class Inheritance:
    """What a student reproduces, by who else does; counts are of windows, for each seed.

    Attributes:
        teacher_only: windows that the teacher reproduces and the base does not.
        inherited: those of them that the student reproduces.
        share: inherited of teacher_only; None: there are none.
        easy: reproduced by the student, the teacher and the base.
        base_only: by the student and the base.
        student_only: by the student alone.
    """

    student: str
    set: str
    criterion: str
    teacher_only: int
    inherited: tuple[int, ...]
    share: Interval | None
    easy: tuple[int, ...]
    base_only: tuple[int, ...]
    student_only: tuple[int, ...]


@dataclass(frozen=True)
class PairedStudents:
    """Share of windows that `other` reproduces minus the share that `one` does, same windows.

    Attributes:
        scope: "teacher-only" or "all" windows of the set.
        difference: bootstrap over games; None: nothing differs.
        only_one, only_other: windows that one of them alone reproduces; None with several seeds.
        p_value: exact McNemar test, which takes windows as independent; None as above.
    """

    one: str
    other: str
    criterion: str
    set: str
    scope: str
    windows: int
    difference: Interval | None
    only_one: int | None
    only_other: int | None
    p_value: float | None


def inheritance(scores: Scores) -> list[Inheritance]:
    """For each criterion, student and set; nothing without a teacher."""
    if TEACHER not in scores:
        return []
    return [
        _inheritance(scores, student, name, criterion)
        for criterion in CRITERIA
        for student in _students(scores)
        for name in (TRAIN, HELD_OUT)
    ]


def compare_students(scores: Scores) -> list[PairedStudents]:
    """For each criterion and set, every pair of students of which one reproduces a window."""
    result = []
    for criterion, name in itertools.product(CRITERIA, (TRAIN, HELD_OUT)):
        of = {model: hits(sets[name], criterion) for model, sets in scores.items()}
        games_W = np.array([s.game_id for s in scores[BASE][name][0]])
        scopes = {"all": np.ones(len(games_W), bool)}
        if TEACHER in of:
            scopes["teacher-only"] = of[TEACHER][0] & ~of[BASE][0]
        pairs = itertools.combinations(_students(scores), 2)
        for (one, other), (scope, these_W) in itertools.product(pairs, scopes.items()):
            pair = of[one][:, these_W], of[other][:, these_W]
            if any(hits_EW.any() for hits_EW in pair):
                about = one, other, criterion, name, scope, int(these_W.sum())
                result.append(PairedStudents(*about, *_paired(*pair, games_W[these_W])))
    return result


def _students(scores: Scores) -> list[str]:
    return [name for name in scores if name not in (BASE, TEACHER)]


def _inheritance(scores: Scores, student: str, name: str, criterion: str) -> Inheritance:
    student_EW, teacher_EW, base_EW = (
        hits(scores[model][name], criterion) for model in (student, TEACHER, BASE)
    )
    teacher_W, base_W = teacher_EW[0], base_EW[0]
    only_W = teacher_W & ~base_W
    games_W = np.array([s.game_id for s in scores[BASE][name][0]])
    return Inheritance(
        student=student,
        set=name,
        criterion=criterion,
        teacher_only=int(only_W.sum()),
        inherited=counts(student_EW & only_W),
        share=rate(student_EW[:, only_W], games_W[only_W]) if only_W.any() else None,
        easy=counts(student_EW & teacher_W & base_W),
        base_only=counts(student_EW & ~teacher_W & base_W),
        student_only=counts(student_EW & ~teacher_W & ~base_W),
    )


def _paired(
    one_EW: np.ndarray, other_EW: np.ndarray, games_W: Iterable[str]
) -> tuple[Interval | None, int | None, int | None, float | None]:
    """(difference, only one, only other, p-value) of `PairedStudents`."""
    difference_W = other_EW.mean(0) - one_EW.mean(0)
    clusters = defaultdict(list)
    for game, difference in zip(games_W, difference_W.tolist(), strict=True):
        clusters[game].append(difference)
    interval = cluster_bootstrap(list(clusters.values())) if difference_W.any() else None
    if max(len(one_EW), len(other_EW)) > 1:
        return interval, None, None, None
    only_one, only_other = int((difference_W < 0).sum()), int((difference_W > 0).sum())
    return interval, only_one, only_other, mcnemar_exact(only_one, only_other)
