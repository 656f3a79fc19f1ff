"""A store of many memories: adding, opening, searching, forgetting.

    python benchmarks/store.py --memories 100000

Texts of 8 to 40 words from a made-up vocabulary whose frequencies follow Zipf's law; a query is
five words of one of them, three of them among its rarer half. `exact` is BM25 without dropping
common terms; `found` is the share of queries whose own text is among the first ten, and `same` how
many of the first ten are those of `exact`. Times are of the processor, one core.
"""

import functools
import itertools
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from duomem_jax.memory.operations.records import Add
from duomem_jax.memory.store import lexical
from duomem_jax.memory.store.entry import Origin
from duomem_jax.memory.store.store import Store
from duomem_jax.report.table import markdown_table

VOCABULARY = 30_000
BATCH = 1000


class Texts:
    """Texts by number, and questions about them."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._words = [f"w{i}" for i in range(VOCABULARY)]
        self._weights = list(itertools.accumulate(1 / (i + 1) for i in range(VOCABULARY)))

    def text(self, number: int) -> str:
        """The same every time."""
        rng = random.Random(f"{self._seed} {number}")
        return " ".join(rng.choices(self._words, cum_weights=self._weights, k=rng.randint(8, 40)))

    def question(self, number: int) -> str:
        """Words of a text."""
        rng = random.Random(f"question {number}")
        words = sorted(set(self.text(number).split()), key=lambda w: int(w[1:]), reverse=True)
        half = len(words) // 2
        chosen = rng.sample(words[:half], min(3, half)) + rng.sample(words[half:], 2)
        return " ".join(chosen)


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of the processor, and what it returned."""
    start = time.process_time()
    result = function()
    return time.process_time() - start, result


def ms(seconds: list[float]) -> str:
    """Median and 90th percentile."""
    return f"{statistics.median(seconds) * 1e3:.1f} ({np.quantile(seconds, 0.9) * 1e3:.1f})"


def search(store: Store, texts: Texts, numbers: list[int]) -> tuple[list[float], list[list[int]]]:
    """Seconds of each query, and the ids that it found."""
    seconds, found = [], []
    for question in [texts.question(number) for number in numbers]:
        taken, ranking = timed(functools.partial(store.lexical, question, limit=10))
        seconds.append(taken)
        found.append(ranking.ids_M.tolist())
    return seconds, found


def main(memories: int = 100_000, queries: int = 200, seed: int = 0) -> None:
    """Print a table.

    Args:
        memories: how many the store holds.
        queries: how many are asked.
        seed: of the texts.
    """
    texts, rows = Texts(seed), []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "store.sqlite"
        with Store.open(path) as store:
            one = 500
            taken, _ = timed(
                lambda: [store.apply([Add(texts.text(i))], Origin()) for i in range(one)]
            )
            rows.append(["adds a second, one by one", f"{one / taken:.0f}"])
            taken, _ = timed(
                lambda: [
                    store.apply([Add(texts.text(i)) for i in range(a, a + BATCH)], Origin())
                    for a in range(one, memories, BATCH)
                ]
            )
            rows.append([f"adds a second, {BATCH} at once", f"{(memories - one) / taken:.0f}"])
            taken, _ = timed(
                lambda: [store.apply([Add(texts.text(-i))], Origin()) for i in range(1, one)]
            )
            rows.append([f"adds a second, one by one, at {memories:,}", f"{one / taken:.0f}"])
        rows.append(["megabytes", f"{path.stat().st_size / 1e6:.0f}"])
        taken, store = timed(lambda: Store.open(path))
        rows.append(["ms to open", f"{taken * 1e3:.0f}"])
        with store:
            numbers = random.Random(seed).sample(range(memories), queries)
            first = texts.question(numbers[0])
            taken, _ = timed(lambda: store.lexical(first, limit=10))
            rows.append(["ms of the first query", f"{taken * 1e3:.0f}"])
            seconds, found = search(store, texts, numbers)
            rows.append(["ms a query, median (90th percentile)", ms(seconds)])
            lexical.TOUCHED, touched = 2**62, lexical.TOUCHED
            seconds, exact = search(store, texts, numbers)
            lexical.TOUCHED = touched
            rows.append(["ms a query, exact", ms(seconds)])
            same = [len(set(a) & set(b)) / len(b) for a, b in zip(found, exact, strict=True)]
            rows.append(["same of the first ten", f"{statistics.mean(same):.3f}"])
            for name, ids in (("found", found), ("found, exact", exact)):
                hits = [n + 1 in i for n, i in zip(numbers, ids, strict=True)]
                rows.append([name, f"{statistics.mean(hits):.3f}"])
            taken, vectors = timed(store.vectors)
            rows.append(["ms for all vectors, at first", f"{taken * 1e3:.0f}"])
            store.apply([Add("one more")], Origin())
            taken, vectors = timed(store.vectors)
            rows.append(["ms for all vectors, after one more", f"{taken * 1e3:.1f}"])
            query_E = vectors.vectors_ME[0]
            taken, _ = timed(lambda: vectors.vectors_ME @ query_E)
            rows.append(["ms for all cosines", f"{taken * 1e3:.0f}"])
            taken, _ = timed(lambda: store.forget(ids=[7]))
            rows.append(["s to forget one", f"{taken:.1f}"])
    print(markdown_table(["", ""], rows))


if __name__ == "__main__":
    tyro.cli(main)
