"""Vectors and terms recomputed, where what makes them has changed."""

import logging
import zlib
from collections.abc import Iterable

from duomem_jax.memory.embed import Embedder
from duomem_jax.memory.store.change import matched, stored
from duomem_jax.memory.store.database import Database
from duomem_jax.memory.store.lexical import COUNTED, document

logger = logging.getLogger(__name__)

_BLOCK = 1024  # texts embedded at once
_INDEXED = (
    "SELECT v.row, v.text, m.speaker, m.key, v.context FROM versions v "
    "JOIN memories m ON m.id = v.memory JOIN vectors x ON x.row = v.row"
)


def embed(embedder: Embedder, texts: Iterable[str]) -> dict[str, bytes]:
    """Vectors as they are kept, by text."""
    distinct = list(dict.fromkeys(texts))
    vectors: dict[str, bytes] = {}
    for start in range(0, len(distinct), _BLOCK):
        block = distinct[start : start + _BLOCK]
        vectors |= zip(block, stored(embedder.embed(block)), strict=True)
    return vectors


def replace_vectors(database: Database, embedder: Embedder) -> None:
    """Embed everything again, with another embedder; others may write meanwhile."""
    vectors: dict[str, bytes] = {}
    missing = {""}
    while missing:
        with database.snapshot() as connection:
            needed = {matched(*row[1:4]) for row in connection.execute(_INDEXED)}
        vectors |= embed(embedder, needed - vectors.keys())
        with database.writing() as connection:
            rows = [(row[0], matched(*row[1:4])) for row in connection.execute(_INDEXED)]
            missing = {text for _, text in rows} - vectors.keys()
            if missing:
                continue
            connection.executemany(
                "UPDATE vectors SET vector = ?, crc32 = ? WHERE row = ?",
                ((vectors[text], zlib.crc32(vectors[text]), row) for row, text in rows),
            )
            width = len(next(iter(vectors.values()))) // 2 if vectors else None
            # Counted as an erasure: others' caches are dropped.
            connection.execute(
                "UPDATE state SET embedder = ?, dimensions = ?, change = change + 1, "
                "erasures = erasures + 1",
                (embedder.name, width),
            )
    logger.info("%s: %d versions embedded by %s", database.path, len(rows), embedder.name)


def replace_terms(database: Database, name: str) -> None:
    """Split all texts again, where they were split by other rules than those of today."""
    with database.writing() as connection:
        if connection.execute("SELECT terms FROM state").fetchone()[0] == name:
            return
        rows = connection.execute(_INDEXED).fetchall()
        connection.execute("DELETE FROM terms")
        connection.executemany(
            "INSERT INTO terms (rowid, words) VALUES (?, ?)",
            (
                (row, " ".join(document(matched(text, speaker, key), context)))
                for row, text, speaker, key, context in rows
            ),
        )
        connection.execute(f"UPDATE state SET terms = ?, {COUNTED}", (name,))
    logger.info("%s: %d versions split into terms again", database.path, len(rows))
