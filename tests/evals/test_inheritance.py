"""Counts of an audit against a plain count over sets of windows."""

import numpy as np
import pytest
from scipy import stats

from duomem_jax.evals.audit.extraction import gaps, summarize_extraction
from duomem_jax.evals.audit.inheritance import compare_students, inheritance
from duomem_jax.evals.audit.memorization import Score
from duomem_jax.evals.audit.scores import AuditScores, ModelScores
from duomem_jax.evals.audit.windows import HELD_OUT, SETS, TEMPLATE, TRAIN
from duomem_jax.evals.stats import wilson

S, GAMES, EACH = 10, 12, 4
WINDOWS = GAMES * EACH
SIZES = {TRAIN: WINDOWS, HELD_OUT: WINDOWS, TEMPLATE: 5}


def score(name, w, hit, written=4, nats=8.0):
    """A window of which a whole suffix, or half of it and of what is written, is reproduced."""
    game = f"{name}{w // EACH}"
    got, mine = (S, written) if hit else (S // 2, written // 2)
    return Score(game, 0, w * S, S, written, 60 + w, got, mine, nats, nats * written / S)


@pytest.fixture(scope="module")
def hits():
    """(model, set) -> which windows each seed reproduces."""
    rng = np.random.default_rng(5)
    seeds = {"base": 1, "text": 1, "logit": 1, "both": 3, "teacher": 1}
    rates = {"base": 0.1, "text": 0.5, "logit": 0.3, "both": 0.4, "teacher": 0.6}
    return {
        (model, name): rng.random((seeds[model], SIZES[name])) < rates[model]
        for model in seeds
        for name in SETS
    }


@pytest.fixture(scope="module")
def scores(hits):
    models = {}
    for (model, name), hits_AW in hits.items():
        rows = [[score(name, w, hit) for w, hit in enumerate(one)] for one in hits_AW]
        models.setdefault(model, {})[name] = rows
    return audit_scores(models)


def audit_scores(models):
    return AuditScores([ModelScores(model, sets) for model, sets in models.items()])


def numbers(hits_W):
    return set(np.flatnonzero(hits_W).tolist())


def test_inheritance_counts_windows_like_plain_sets(hits, scores):
    found = inheritance(scores)
    assert len(found) == 2 * 3 * 2
    for row in found:
        teacher, base = (numbers(hits[m, row.set][0]) for m in ("teacher", "base"))
        students = [numbers(h) for h in hits[row.student, row.set]]
        assert row.teacher_only == len(teacher - base)
        assert row.inherited == tuple(len(s & (teacher - base)) for s in students)
        assert row.easy == tuple(len(s & teacher & base) for s in students)
        assert row.base_only == tuple(len((s & base) - teacher) for s in students)
        assert row.student_only == tuple(len(s - base - teacher) for s in students)
        split = zip(row.inherited, row.easy, row.base_only, row.student_only, strict=True)
        assert [sum(parts) for parts in split] == [len(s) for s in students]
        if row.student != "both":
            assert row.share == wilson(row.inherited[0], row.teacher_only)
        else:
            assert row.share.mean == pytest.approx(np.mean(row.inherited) / row.teacher_only)
            assert row.share.low < row.share.mean < row.share.high


def test_compare_students_pairs_by_window(hits, scores):
    found = compare_students(scores)
    assert len(found) == 3 * 2 * 2 * 2
    pairs = {(p.one, p.other, p.criterion, p.scope): p for p in found if p.set == TRAIN}
    teacher, base, text, logit = (hits[m, TRAIN][0] for m in ("teacher", "base", "text", "logit"))
    only = teacher & ~base
    for scope, these in (("all", np.ones(WINDOWS, bool)), ("teacher-only", only)):
        p = pairs["text", "logit", "extractable", scope]
        assert p.windows == these.sum()
        assert p.only_one == (text & ~logit & these).sum()
        assert p.only_other == (logit & ~text & these).sum()
        expected = stats.binomtest(p.only_one, p.only_one + p.only_other).pvalue
        assert p.p_value == pytest.approx(expected)
        assert p.difference.mean == pytest.approx(logit[these].mean() - text[these].mean())
    several = pairs["text", "both", "replayed", "teacher-only"]
    assert several.p_value is several.only_one is several.only_other is None
    both = hits["both", TRAIN].mean(0)
    assert several.difference.mean == pytest.approx((both - text)[only].mean())


def test_inheritance_is_empty_without_a_teacher(scores):
    alone = AuditScores([scores.base, *scores.students])
    assert inheritance(alone) == []
    assert {p.scope for p in compare_students(alone)} == {"all"}


def test_compare_students_omits_pairs_that_reproduce_nothing(scores):
    none = [score(TRAIN, w, False) for w in range(WINDOWS)]
    students = [ModelScores(m.model, {**m.sets, TRAIN: [none]}) for m in scores.students[:2]]
    found = compare_students(AuditScores([scores.base, *students]))
    assert {p.set for p in found} == {HELD_OUT}


def test_summarize_extraction_of_each_set(hits, scores):
    rows = {(r.model, r.set): r for r in summarize_extraction(scores)}
    assert len(rows) == 5 * 3
    r = rows["text", TRAIN]
    (mine,) = hits["text", TRAIN]
    assert (r.windows, r.games, r.seeds, r.extractable) == (WINDOWS, GAMES, 1, (mine.sum(),))
    assert r.rate == r.replayed == wilson(mine.sum(), WINDOWS)
    assert r.matched == pytest.approx(np.where(mine, S, S // 2).mean())
    assert (r.nats, r.written_nats) == (pytest.approx(0.8), pytest.approx(0.8))
    assert r.zlib_bytes == pytest.approx(60 + np.arange(WINDOWS).mean())
    assert r.zlib_extractable == pytest.approx(60 + np.flatnonzero(mine).mean())
    both = rows["both", TRAIN]
    assert both.extractable == tuple(hits["both", TRAIN].sum(1))
    assert both.rate.mean == pytest.approx(hits["both", TRAIN].mean())


def test_gaps_are_differences_of_means_also_relative_to_the_base(hits, scores):
    rows = {g.model: g for g in gaps(scores)}
    names = ("text", "logit", "both", "teacher")
    assert set(rows) == {"base", *names, *(f"{name} - base" for name in names)}
    for name in names:
        by_set = {s: hits[name, s].mean() for s in (TRAIN, HELD_OUT)}
        gap = by_set[TRAIN] - by_set[HELD_OUT]
        assert rows[name].extractable.mean == pytest.approx(gap)
        base = hits["base", TRAIN].mean() - hits["base", HELD_OUT].mean()
        relative = rows[f"{name} - base"].extractable
        assert relative.mean == pytest.approx(gap - base)
        assert relative.low < relative.mean < relative.high
    assert rows["text"].nats is None  # all equal: an interval would claim certainty


def test_replayed_ignores_windows_where_nothing_is_written():
    rows = [score(TRAIN, w, True, written=w % 2) for w in range(8)]
    sets = {TRAIN: [rows], HELD_OUT: [rows[:4]], TEMPLATE: [[]]}
    train, held_out = summarize_extraction(audit_scores({"base": sets}))
    assert (train.set, held_out.set) == (TRAIN, HELD_OUT)  # no row for no windows
    assert (train.replayed, train.rate) == (wilson(4, 4), wilson(8, 8))
    silent = [score(TRAIN, w, True, written=0) for w in range(8)]
    scores = audit_scores({"base": {TRAIN: [silent], HELD_OUT: [rows]}})
    (row, _) = summarize_extraction(scores)
    assert row.replayed is row.written_nats is None
    (gap,) = gaps(scores)
    assert gap.replayed is gap.written_nats is None
