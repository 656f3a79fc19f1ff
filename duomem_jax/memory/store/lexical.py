"""The full-text index: what texts are found by, and BM25 over it.

SQLite's bm25() takes some 2 microseconds for each row that has any of the terms, and common terms
are in most rows. Where a query would touch many, candidates come from its rarest terms alone, and
the best of them get what the others add to their scores.
"""

import hashlib
import json
import math
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from duomem_jax.memory.retrieve.protocol import NOTHING, Ranking
from duomem_jax.memory.retrieve.terms import terms
from duomem_jax.memory.store.where import Where

TOUCHED = 2000  # rows that a query may touch before its common terms wait
_RESCORED = 200  # candidates that are scored by all terms
_K1, _B = 1.2, 0.75  # of SQLite's bm25()
_STALE = 1.1  # growth of the store after which a frequency is looked up again

# The tokenizer `ascii` parts texts at all of these, and takes any other letter as it is. So they
# become letters of Unicode's private use.
_SAFE = {code: 0xE000 + code for code in range(128) if not chr(code).isalnum()}
_SAMPLE = "It's Zoë's 2nd cup; running: 東京へ行った。 Привет! 👍🏽 café C++ naïveté 한국어 ไทย"

# Sets the counts that BM25 goes by from the index itself.
COUNTED = (
    "(texts, length) = (SELECT count(*), coalesce(sum(CASE words WHEN '' THEN 0 ELSE "
    "length(words) - length(replace(words, ' ', '')) + 1 END), 0) FROM terms)"
)


def tokens(text: str) -> list[str]:
    """Terms of a text, as the index holds them."""
    return [term.translate(_SAFE) for term in terms(text)]


def document(found_by: str, context: str) -> list[str]:
    """The terms of a memory: of what it is found by itself, and of its context."""
    return tokens(f"{found_by}\n{context}")


def terms_name() -> str:
    """What `terms` does, as a name: an index that was made by another one finds nothing."""
    return hashlib.sha256("\0".join(tokens(_SAMPLE)).encode()).hexdigest()[:16]


class Frequencies:
    """In how many texts terms are; counting them takes SQLite as long as finding them."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[int, int]] = {}

    def of(self, database: sqlite3.Connection, asked: Iterable[str], texts: int) -> dict[str, int]:
        """The number of texts of each term that is in any.

        Args:
            database: the store.
            asked: terms.
            texts: in the index.
        """
        found = {}
        for term in asked:
            count, then = self._known.get(term, (0, 0))
            if not count or texts > then * _STALE or texts < then:
                row = database.execute("SELECT doc FROM vocabulary WHERE term = ?", (term,))
                count = next((count for (count,) in row), 0)
                # Rare ones are counted at once, and may grow at once.
                if count > TOUCHED // 10:
                    self._known[term] = count, texts
            if count:
                found[term] = count
        return found


def search(
    database: sqlite3.Connection,
    frequencies: Frequencies,
    query: str,
    part: Where,
    limit: int | None,
) -> Ranking:
    """Memories of a part of the store that have a term of the query, by BM25.

    Args:
        database: the store, at one moment.
        frequencies: of the same store.
        query: any text; one without terms finds nothing.
        part: where to look.
        limit: how many at most; None: all.
    """
    query_counts = "SELECT CAST(texts AS INTEGER), max(CAST(length AS INTEGER), 1) FROM state"
    texts, length = database.execute(query_counts).fetchone()
    counts = frequencies.of(database, dict.fromkeys(tokens(query)), texts)
    rare = _rarest(counts, texts)
    if not rare or limit == 0:
        return NOTHING
    common = {term: count for term, count in counts.items() if term not in rare}
    candidates = max(limit, _RESCORED) if common and limit else limit
    found = _matches(database, rare, part, candidates)
    if common:
        _add(database, found, common, texts, length)
    found.sort(key=lambda match: (-match.score, match.id))
    return Ranking(
        np.array([match.id for match in found[:limit]], np.int64),
        np.array([match.score for match in found[:limit]], np.float32),
    )


@dataclass
class _Match:
    row: int
    id: int
    score: float


def _rarest(counts: dict[str, int], texts: int) -> list[str]:
    """The terms that candidates come from: all, where that touches few rows."""
    chosen: list[str] = []
    touched = 0
    for term in sorted(counts, key=lambda term: (counts[term], term)):
        touched += counts[term]
        if chosen and touched > TOUCHED and texts > TOUCHED:
            break
        chosen.append(term)
    return chosen


def _matches(
    database: sqlite3.Connection, asked: list[str], part: Where, limit: int | None
) -> list[_Match]:
    condition, values = part.sql()
    rows = database.execute(
        "SELECT v.row, v.memory, -bm25(terms) AS score FROM terms JOIN versions v "
        "ON v.row = terms.rowid JOIN memories m ON m.id = v.memory "
        f"WHERE terms MATCH ? AND {condition} ORDER BY score DESC, v.memory LIMIT ?",
        [" OR ".join(f'"{term}"' for term in asked), *values, -1 if limit is None else limit],
    )
    found = [_Match(*row) for row in rows]
    if not all(isinstance(match.id, int) for match in found):
        raise sqlite3.DatabaseError("an id is no number")  # explained as damage
    return found


def _add(
    database: sqlite3.Connection,
    found: list[_Match],
    common: dict[str, int],
    texts: int,
    length: int,
) -> None:
    """Add to scores what bm25() would have given for `common` terms."""
    # As bm25() has it: what is in most texts weighs next to nothing, but not less.
    weights = {
        term: (_K1 + 1) * max(math.log((texts - count + 0.5) / (count + 0.5)), 1e-6)
        for term, count in common.items()
    }
    rows = json.dumps([match.row for match in found])
    chosen = "SELECT rowid, words FROM terms WHERE rowid IN (SELECT value FROM json_each(?))"
    held = dict(database.execute(chosen, (rows,)))
    for match in found:
        words = str(held.get(match.row, "")).split(" ")
        norm = _K1 * (1 - _B + _B * len(words) * texts / length)
        # Most terms are not in a text, which a set tells faster than counting them does.
        for term in filter(set(words).__contains__, weights):
            times = words.count(term)
            match.score += weights[term] * times / (times + norm)
