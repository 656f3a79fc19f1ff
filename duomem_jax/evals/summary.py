"""Turn result rows into the numbers of the report."""

import dataclasses
import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from duomem_jax.evals.describe import Description
from duomem_jax.evals.stats import (
    Interval,
    cluster_bootstrap,
    crossed_bootstrap,
    holm,
    mcnemar_exact,
    paired_bootstrap,
    wilson,
)
from duomem_jax.records.results import Result


@dataclasses.dataclass(frozen=True)
class Summary:
    """One subject over all its items and seeds.

    Attributes:
        headline: mean of the score that is compared. Wilson where it is won or lost once in each
            group, else by a bootstrap over groups.
        means: of the description's columns, by title.
        by_kind: the same as `headline`, of each kind of items.
        remarks: the description's sentences that apply.
    """

    subject: str
    items: int
    seeds: int
    headline: Interval
    means: dict[str, float]
    by_kind: dict[str, Interval]
    remarks: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Difference:
    """The headline of `other` minus that of `base`, on the items both were scored on.

    Attributes:
        only_base: items that only `base` won, where it is won or lost once in each group, else
            None.
        only_other: items that only `other` won, likewise.
        p_value: exact McNemar test where these are counted, else by the bootstrap over groups and
            seeds.
        corrected: the p-value after Holm's correction for all differences of a report.
    """

    base: str
    other: str
    items: int
    difference: Interval
    only_base: int | None
    only_other: int | None
    p_value: float
    corrected: float = 1.0


def summarize(rows: Iterable[Result], description: Description) -> list[Summary]:
    """One summary per subject, in the order in which the subjects first occur."""
    return [_summarize(name, own, description) for name, own in _by_subject(rows).items()]


def compare(
    rows: Iterable[Result], base: str, other: str, description: Description
) -> Difference | None:
    """Paired difference between two subjects; None when they share no item.

    Only items that both were scored on with all their seeds count. A subject without seeds
    (greedy, untrained) can stand against one with several.
    """
    subjects = _by_subject(description.counted(rows))
    a, b = (_by_item(subjects[name], description) for name in (base, other))
    # An unfinished run lacks some seeds of some items, and rows of unequal length are no array.
    full_a, full_b = (max(map(len, x.values())) for x in (a, b))
    shared = sorted(i for i in a.keys() & b.keys() if (len(a[i]), len(b[i])) == (full_a, full_b))
    if not shared:
        return None
    values_a, values_b = (np.array([x[i] for i in shared]) for x in (a, b))
    # From either subject: an item is in the same group for all.
    groups = {row.item: description.cluster(row) for row in subjects[base]}
    names, group_I = np.unique([groups[i] for i in shared], return_inverse=True)
    # McNemar counts items that are won or lost once, independently of each other. All else, several
    # seeds, groups or parts of a score, is left to the bootstrap.
    once = len(names) == len(shared) and full_a == full_b == 1
    if not (once and _all_binary(values_a) and _all_binary(values_b)):
        sums_a, sums_b = (_group_sums(x, group_I, len(names)) for x in (values_a, values_b))
        same_seeds = description.same_seeds and full_a == full_b
        difference, p = crossed_bootstrap(
            sums_a, sums_b, np.bincount(group_I), same_seeds=same_seeds
        )
        return Difference(base, other, len(shared), difference, None, None, p)
    difference = paired_bootstrap(values_a[:, 0].tolist(), values_b[:, 0].tolist())
    only_a, only_b = int((values_a > values_b).sum()), int((values_a < values_b).sum())
    p = mcnemar_exact(only_a, only_b)
    return Difference(base, other, len(shared), difference, only_a, only_b, p)


def differences(
    rows: Sequence[Result], pairs: Iterable[tuple[str, str]], description: Description
) -> list[Difference]:
    """The differences of those pairs that have results, with p-values that hold for all of these.

    Args:
        rows: of all subjects.
        pairs: (base, other).
        description: which score is compared.
    """
    there = {row.subject for row in rows}
    compared = (compare(rows, a, b, description) for a, b in pairs if {a, b} <= there)
    # Corrected for the pairs that are shown, not for all that are possible.
    return _correct([pair for pair in compared if pair is not None])


def _correct(pairs: Sequence[Difference]) -> list[Difference]:
    corrected = holm([pair.p_value for pair in pairs])
    return [
        dataclasses.replace(pair, corrected=p) for pair, p in zip(pairs, corrected, strict=True)
    ]


def _summarize(subject: str, rows: Sequence[Result], description: Description) -> Summary:
    by_kind = defaultdict(list)
    for row in rows:
        by_kind[row.kind].append(row)
    counted = description.counted(rows)
    counts = {r.text: sum(map(r.applies, counted)) for r in description.remarks}
    return Summary(
        subject=subject,
        items=len({r.item for r in counted}),
        seeds=len({r.seed for r in counted}),
        headline=_headline(counted, description),
        means={c.title: _mean(map(c.value, counted)) for c in description.columns},
        by_kind={kind: _headline(own, description) for kind, own in sorted(by_kind.items())},
        remarks=tuple(text.format(count=n) for text, n in counts.items() if n),
    )


def _mean(values: Iterable[float | None]) -> float:
    """Of those that there are; not a number where there is none."""
    there = [value for value in values if value is not None]
    return statistics.fmean(there) if there else float("nan")


def _headline(rows: Sequence[Result], description: Description) -> Interval:
    """Mean of the score with its interval; groups are what is drawn."""
    clusters = defaultdict(list)
    for row in rows:
        clusters[description.cluster(row)].append(description.value(row))
    values = np.array([description.value(row) for row in rows])
    if _all_binary(values):
        # One value in each group: independent, as Wilson assumes.
        if len(clusters) == len(rows):
            return wilson(int(values.sum()), len(rows))
        if values.min() == values.max():  # nothing varies: resampling would claim certainty
            return wilson(len(clusters) if values[0] else 0, len(clusters))
    return cluster_bootstrap(list(clusters.values()))


def _group_sums(values: np.ndarray, group_I: np.ndarray, n_groups: int) -> np.ndarray:
    """Sums of the rows of each group: a row for each group, a column for each seed."""
    sums = np.zeros((n_groups, values.shape[1]))
    np.add.at(sums, group_I, values)
    return sums


def _all_binary(values: np.ndarray) -> bool:
    return bool(np.isin(values, (0.0, 1.0)).all())


def _by_item(rows: Iterable[Result], description: Description) -> dict[str, list[float]]:
    """The score of each item, one value per seed."""
    values: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        values[row.item][row.seed].append(float(description.value(row)))
    # Adapters that were trained as one set have a row each under its seed, and count as one.
    return {
        item: [statistics.fmean(found) for _, found in sorted(seeds.items())]
        for item, seeds in values.items()
    }


def _by_subject(rows: Iterable[Result]) -> dict[str, list[Result]]:
    subjects: dict[str, list[Result]] = {}
    for row in rows:
        subjects.setdefault(row.subject, []).append(row)
    return subjects
