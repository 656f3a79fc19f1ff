"""What students have of their teacher's memory, and whether one has more than another.

As in arXiv 2601.15394, what matters are the windows that the teacher reproduces and a model of the
student's size does not; here that model is the student's base, which was not trained on them.
"""

import itertools
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from duomem_jax.evals.audit.extraction import CRITERIA, counts, hits, rate
from duomem_jax.evals.audit.scores import AuditScores, ModelScores
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


def inheritance(scores: AuditScores) -> list[Inheritance]:
    """For each criterion, student and set; nothing without a teacher."""
    if scores.teacher is None:
        return []
    return [
        _inheritance(who, name, criterion, scores.games(name))
        for criterion in CRITERIA
        for who in (_Trio(student, scores.teacher, scores.base) for student in scores.students)
        for name in (TRAIN, HELD_OUT)
    ]


def compare_students(scores: AuditScores) -> list[PairedStudents]:
    """For each criterion and set, every pair of students of which one reproduces a window."""
    return [
        pair
        for criterion, name in itertools.product(CRITERIA, (TRAIN, HELD_OUT))
        for pair in _pairs(scores, name, criterion)
    ]


class _Trio(NamedTuple):
    """A student and the two models that its memory is compared with."""

    student: ModelScores
    teacher: ModelScores
    base: ModelScores


def _inheritance(who: _Trio, name: str, criterion: str, games_W: np.ndarray) -> Inheritance:
    student_nW = hits(who.student.sets[name], criterion)
    teacher_W = hits(who.teacher.sets[name], criterion)[0]
    base_W = hits(who.base.sets[name], criterion)[0]
    only_W = teacher_W & ~base_W
    return Inheritance(
        student=who.student.model,
        set=name,
        criterion=criterion,
        teacher_only=int(only_W.sum()),
        inherited=counts(student_nW & only_W),
        share=rate(student_nW[:, only_W], games_W[only_W]) if only_W.any() else None,
        easy=counts(student_nW & teacher_W & base_W),
        base_only=counts(student_nW & ~teacher_W & base_W),
        student_only=counts(student_nW & ~teacher_W & ~base_W),
    )


def _pairs(scores: AuditScores, name: str, criterion: str) -> Iterator[PairedStudents]:
    """Every pair of students, on each scope of one set of windows."""
    games_W = scores.games(name)
    found = {m.model: hits(m.sets[name], criterion) for m in scores.students}
    scopes = _scopes(scores, name, criterion)
    pairs = itertools.combinations(found, 2)
    for (one, other), (scope, these_W) in itertools.product(pairs, scopes.items()):
        one_nW = found[one][:, these_W]
        other_nW = found[other][:, these_W]
        if not (one_nW.any() or other_nW.any()):
            continue  # nothing to compare: two models that reproduce nothing are equal
        yield PairedStudents(
            one=one,
            other=other,
            criterion=criterion,
            set=name,
            scope=scope,
            windows=int(these_W.sum()),
            difference=_difference(one_nW, other_nW, games_W[these_W]),
            **_mcnemar(one_nW, other_nW),
        )


def _scopes(scores: AuditScores, name: str, criterion: str) -> dict[str, np.ndarray]:
    """bool[W] of each scope: which windows of the set are in it."""
    base_W = hits(scores.base.sets[name], criterion)[0]
    scopes = {"all": np.ones(len(base_W), bool)}
    if scores.teacher is not None:
        scopes["teacher-only"] = hits(scores.teacher.sets[name], criterion)[0] & ~base_W
    return scopes


def _difference(
    one_nW: np.ndarray, other_nW: np.ndarray, games_W: Iterable[str]
) -> Interval | None:
    """The other's share minus the one's, bootstrap over games; None: nothing differs."""
    # Paired by window; the mean over seeds makes students with unequal numbers of them comparable.
    difference_W = other_nW.mean(0) - one_nW.mean(0)
    if not difference_W.any():
        return None
    clusters = defaultdict(list)
    for game, difference in zip(games_W, difference_W.tolist(), strict=True):
        clusters[game].append(difference)
    return cluster_bootstrap(list(clusters.values()))


def _mcnemar(one_nW: np.ndarray, other_nW: np.ndarray) -> dict[str, Any]:
    """The last three fields of `PairedStudents`; with several seeds there is no such test."""
    # A window that some seeds reproduce is neither won nor lost.
    if max(len(one_nW), len(other_nW)) > 1:
        return {"only_one": None, "only_other": None, "p_value": None}
    only_one = int((one_nW & ~other_nW).sum())
    only_other = int((other_nW & ~one_nW).sum())
    p_value = mcnemar_exact(only_one, only_other)
    return {"only_one": only_one, "only_other": only_other, "p_value": p_value}
