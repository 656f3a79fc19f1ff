"""Scores of answers against hand computations and other implementations."""

import numpy as np
import pytest

from duomem_jax.evals.dialogues import metrics as m
from duomem_jax.memory.embed import make_embedder
from duomem_jax.records import dialogues as d

pytest.importorskip("nltk", reason="NLTK has the stemmer")


@pytest.mark.parametrize(
    ("reply", "key", "kind", "f1"),
    [
        ("The Paintings!", "a painting", d.SINGLE_HOP, 1),
        # said: 4 stems, wanted: 2, both in it: 2 * 2 / (4 + 2).
        ("She painted a sunset yesterday", "painting sunsets", d.SINGLE_HOP, 4 / 6),
        # A word said twice counts once where the key has it once: 2 * 1 / (2 + 1).
        ("dog dog", "dog", d.SINGLE_HOP, 2 / 3),
        # Punctuation goes without a trace, so this is one other word.
        ("well-known", "well known", d.SINGLE_HOP, 0),
        ("", "dog", d.SINGLE_HOP, 0),
        ("...", "...", d.SINGLE_HOP, 0),
        # Of three answers the first is found whole, the second by half of its words, one not:
        # (1 + 2 / 3 + 0) / 3.
        ("cats, dogs", "cat, brown dog, fish", d.MULTI_HOP, (1 + 2 / 3) / 3),
        # The same words as one answer: 2 * 2 / (2 + 4).
        ("cats, dogs", "cat, brown dog, fish", d.TEMPORAL, 4 / 6),
        ("likely no", "Likely no; since it went badly", d.OPEN_DOMAIN, 1),
        ("likely no", "Likely no; since it went badly", d.SINGLE_HOP, 4 / 8),
        ("That is Not Mentioned.", "", d.ADVERSARIAL, 1),
        ("No information available", "", d.ADVERSARIAL, 1),
        ("I do not know", "", d.ADVERSARIAL, 0),
    ],
)
def test_f1_by_hand(reply, key, kind, f1):
    assert m.locomo_f1(reply, key, kind) == pytest.approx(f1)


@pytest.mark.parametrize(
    ("reply", "key", "same"),
    [("The dog and a Cat.", "dog, cat", 1), ("cat dog", "dog cat", 0), ("dogs", "dog", 0)],
)
def test_exact_match(reply, key, same):
    assert m.exact_match(reply, key) == same


ALPHABET = ["running", "dog", "dogs", "the", "a", "Painting,", "x-ray", "2022", "not", "was", "!"]


def texts(n):
    rng = np.random.default_rng(0)
    return [" ".join(rng.choice(ALPHABET, rng.integers(0, 9))) for _ in range(n)]


def test_rouge_l_is_that_of_rouge_score():
    scorer = pytest.importorskip("rouge_score.rouge_scorer").RougeScorer(["rougeL"], True)
    pairs = list(zip(texts(400)[::2], texts(400)[1::2], strict=True))
    theirs = [scorer.score(key, reply)["rougeL"].fmeasure for reply, key in pairs]
    assert max(theirs) > 0.5
    np.testing.assert_allclose([m.rouge_l(*pair) for pair in pairs], theirs)


def test_rouge_l_sees_other_letters():
    assert m.rouge_l("Zoë Müller", "Zoë Müller") == 1
    assert m.rouge_l("猫", "犬") == 0


def test_meteor_by_hand():
    # Two of three words of the reply and of two of the key match, the second by its stem, in one
    # piece: P 2/3, R 1, mean 10 P R / (R + 9 P), a penalty of 0.5 * (1 / 2) ** 3.
    mean = 10 * (2 / 3) / (1 + 9 * 2 / 3)
    found = m.meteor_without_wordnet("two dogs yesterday", "two dog")
    assert found == pytest.approx(mean * (1 - 0.5 / 8))
    assert m.meteor_without_wordnet("", "dog") == 0


def test_all_scores_of_each_reply():
    questions = [
        d.Question("a", "?", d.SINGLE_HOP, "red bicycle", (), corrected="blue bicycle"),
        d.Question("b", "?", d.ADVERSARIAL, "", (), trap="red"),
    ]
    embedder = make_embedder("hashing:64")
    raw = m.score(["blue bicycle", "not mentioned"], questions, embedder)
    assert set(raw[0]) == {m.F1, m.EXACT, m.ROUGE_L, m.METEOR, m.SIMILARITY, m.COMPOSITE}
    assert (raw[0][m.F1], raw[0][m.EXACT]) == (0.5, 0)
    parts = [raw[0][name] for name in (m.ROUGE_L, m.METEOR, m.SIMILARITY)]
    assert raw[0][m.COMPOSITE] == pytest.approx(np.mean(parts))
    assert raw[1] == {m.F1: 1}
    audited = m.score(["blue bicycle", "red"], questions, embedder, corrected=True)
    assert audited[0][m.EXACT] == 1
    assert audited[0][m.SIMILARITY] == pytest.approx(1)
    assert audited[1] == {m.F1: 0}
    assert m.SIMILARITY not in m.score(["x"], questions[:1])[0]
