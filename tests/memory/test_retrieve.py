"""Retrievers on a small index, against computations by hand and by another BM25."""

import math

import numpy as np
import pytest

from duomem_jax.base.errors import UserError
from duomem_jax.memory.embed import make_embedder
from duomem_jax.memory.retrieve import (
    BM25,
    RETRIEVERS,
    Dense,
    Everything,
    Hybrid,
    hybrid,
    make_retriever,
    scan,
)
from duomem_jax.memory.retrieve.hybrid import Weights
from duomem_jax.memory.retrieve.in_memory import Document, InMemoryIndex
from duomem_jax.memory.retrieve.terms import terms
from duomem_jax.memory.retrieve.turns import documents
from duomem_jax.records.dialogues import Dialogue, Session, Turn

ALL = Everything()
DOCUMENTS = [
    Document("I bought a red bicycle", "Ann", owner="a", happened="2023-05-08T13:56:00Z"),
    Document("My bicycle was stolen in Oslo", "Ben", owner="a", happened="2023-06-08T13:56:00Z"),
    Document("The weather is fine", "Ann", owner="b", happened="2023-07-08T13:56:00Z"),
    Document("猫が好き 🎉", "Ben", owner="b", happened="2023-08-08T13:56:00Z"),
    Document("Nothing happens here", "Ann", context="what about Zoë's piano?"),
    Document("So it goes", "Ben"),
]


@pytest.fixture(scope="module")
def index():
    return InMemoryIndex(DOCUMENTS, make_embedder("hashing:256"))


def bm25_by_hand(query, texts):
    bags = [terms(text) for text in texts]
    mean = np.mean([len(bag) for bag in bags])
    scores = np.zeros(len(texts))
    for term in set(terms(query)):
        having = sum(term in bag for bag in bags)
        weight = max(math.log((len(bags) - having + 0.5) / (having + 0.5)), 1e-6)
        for i, bag in enumerate(bags):
            often = bag.count(term)
            scores[i] += weight * often * 2.2 / (often + 1.2 * (0.25 + 0.75 * len(bag) / mean))
    return scores


QUERY = "Who has a red bicycle, Ann or Ben?"


def test_bm25_by_hand(index):
    expected = bm25_by_hand(QUERY, [f"{d.matched}\n{d.context}" for d in DOCUMENTS])
    found = BM25().rank(index, QUERY, 10, ALL)
    np.testing.assert_allclose(found.scores_M, expected[found.ids_M], rtol=1e-5)
    assert set(found.ids_M) == set(np.flatnonzero(expected))
    assert list(found.scores_M) == sorted(found.scores_M, reverse=True)


def test_hybrid_by_hand(index):
    def z(x):
        return (x - x.mean()) / x.std()

    words = bm25_by_hand(QUERY, [f"{d.matched}\n{d.context}" for d in DOCUMENTS])
    vectors = index.vectors().vectors_ME @ index.embedder.embed([QUERY])[0]
    expected = z(words) + 0.5 * z(vectors)
    found = Hybrid(Weights(dense=0.5, named=0)).rank(index, QUERY, 10, ALL)
    assert list(found.ids_M) == list(np.argsort(-expected, kind="stable"))
    np.testing.assert_allclose(found.scores_M, expected[found.ids_M], rtol=1e-4, atol=1e-5)


def test_who_is_named_comes_first(index):
    asked = "Ben's"
    plain = Hybrid(Weights(named=0)).rank(index, asked, 6, ALL)
    named = Hybrid(Weights(named=50)).rank(index, asked, 6, ALL)
    assert {DOCUMENTS[i].speaker for i in named.ids_M[:3]} == {"Ben"}
    by_id = dict(zip(plain.ids_M, plain.scores_M, strict=True))
    for id, score in zip(*named, strict=True):
        assert score - by_id[id] == pytest.approx(50 * (DOCUMENTS[id].speaker == "Ben"), abs=1e-4)


def test_a_large_store_is_searched_like_a_small_one(monkeypatch):
    words = [f"{a}{b}" for a in "bcdfghjklm" for b in "aeiou"]
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(words, 6)) for _ in range(2000)] + ["xylophone ba be"]
    embedder = make_embedder("hashing:128")
    index = InMemoryIndex([Document(text) for text in texts], embedder)
    queries = [*texts[:20], "xylophone", "where is the xylophone, ba or be"]
    exact = [Hybrid().rank(index, query, 5, ALL).ids_M[0] for query in queries]
    monkeypatch.setattr(scan, "EXACT", 500)
    monkeypatch.setattr(hybrid, "EXACT", 500)
    found = [Hybrid().rank(index, query, 5, ALL).ids_M[0] for query in queries]
    assert found == exact == [*range(20), 2000, 2000]


@pytest.mark.parametrize("name", RETRIEVERS)
@pytest.mark.parametrize("query", ["", "?!", "...", " ", "“—”"])
def test_a_query_without_terms_finds_nothing(name, query, index):
    assert len(make_retriever(name).rank(index, query, 10, ALL).ids_M) == 0


@pytest.mark.parametrize("name", ["bm25", "hybrid"])
@pytest.mark.parametrize(
    ("query", "id"),
    [("猫", 3), ("好き", 3), ("🎉", 3), ("zoe PIANO", 4), ("ОСЛО Oslo", 1), ("bicycles", 0)],
)
def test_scripts_emoji_and_context_are_found(name, query, id, index):
    found = make_retriever(name).rank(index, query, 2, ALL).ids_M
    assert id in found


@pytest.mark.parametrize("name", RETRIEVERS)
def test_only_the_part_is_seen(name, index):
    retriever = make_retriever(name)
    for part, seen in [
        (Everything(speaker="Ben"), {1, 3, 5}),
        (Everything(who=("a",)), {0, 1}),
        (Everything(at="2023-06-08T13:56:00Z"), {0, 1, 4, 5}),
        (Everything(who=("nobody",)), set()),
    ]:
        found = set(retriever.rank(index, "bicycle weather 猫 piano goes", 10, part).ids_M.tolist())
        assert found <= seen
        assert bool(found) == bool(seen)


@pytest.mark.parametrize("name", RETRIEVERS)
def test_the_limit_is_kept_and_the_best_come_first(name, index):
    retriever = make_retriever(name)
    whole = retriever.rank(index, QUERY, 99, ALL)
    for limit in (0, 1, 3):
        part = retriever.rank(index, QUERY, limit, ALL)
        assert list(part.ids_M) == list(whole.ids_M[:limit])


@pytest.mark.parametrize("name", RETRIEVERS)
def test_nothing_in_it(name):
    empty = InMemoryIndex([], make_embedder("hashing:16"))
    assert len(make_retriever(name).rank(empty, "bicycle", 3, ALL).ids_M) == 0


def test_vectors_of_an_embedder_that_is_not_there():
    index = InMemoryIndex(DOCUMENTS)
    assert len(BM25().rank(index, "bicycle", 3, ALL).ids_M) == 2
    with pytest.raises(UserError, match="choose the retriever bm25"):
        Dense().rank(index, "bicycle", 3, ALL)
    with pytest.raises(UserError, match="retriever=magic: unknown; choose one of bm25, dense"):
        make_retriever("magic")


def test_a_turn_has_its_neighbours_and_the_date_as_context():
    said = [Turn(f"D1:{i}", "Ann", f"w{i}", "a cat" if i == 1 else "") for i in range(4)]
    sessions = (
        Session("2023-05-08T13:56:00Z", tuple(said)),
        Session("2024-12-31T00:00:00Z", (Turn("D2:0", "Ben", "other"),)),
    )
    found = documents(Dialogue("d", ("Ann", "Ben"), sessions), before=2, after=1)
    assert found[1].matched == "Ann: w1 [shares a cat]"
    assert found[2].context == "Ann: w0\nAnn: w1 [shares a cat]\nAnn: w3\n8 May 2023"
    assert (found[4].context, found[4].happened) == ("31 December 2024", "2024-12-31T00:00:00Z")
