"""The embedding matrix beside a bank: one row per distinct key, made by one named embedder."""

import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypedDict

import numpy as np

from duomem_jax.base.errors import UserError
from duomem_jax.base.io import atomic_write_bytes, atomic_write_text, read_json
from duomem_jax.base.log import Log
from duomem_jax.memory.embed import Embedder
from duomem_jax.records.store.manifest import content_hash

# Texts embedded between two saves: a killed run pays for at most these again.
BLOCK = 1024


class _Facts(TypedDict):
    embedder: str
    bank: str
    rows: int
    sha256: str


def distinct_keys(keys: Sequence[str]) -> list[str]:
    """Keys in the order of the matrix rows."""
    return sorted(set(keys))


def write_vectors(folder: Path, keys: Sequence[str], embedder: Embedder) -> None:
    """Embed the distinct keys into `embeddings.npy` float16[M, E]; resumes where it stopped.

    Raises:
        UserError: the bank was embedded by another embedder, or the embedder fails.
    """
    facts = _facts(folder)
    if facts is not None:
        _refuse_other(folder, facts, embedder)
        return
    bank = content_hash(folder)
    # The log is named after embedder and bank, so that blocks of another one are never resumed.
    tag = hashlib.sha256(f"{embedder.name}\0{bank}".encode()).hexdigest()[:12]
    with Log(folder / f".embeddings-{tag}.sqlite") as log:
        # [M, E]; M may be far below the number of memories, as tasks share their wording.
        matrix = _embed(distinct_keys(keys), embedder, log)
        buffer = io.BytesIO()
        np.save(buffer, matrix.astype(np.float16), allow_pickle=False)
        data = buffer.getvalue()
        atomic_write_bytes(folder / "embeddings.npy", data)
        facts = {
            "embedder": embedder.name,
            "bank": bank,
            "rows": len(matrix),
            "sha256": hashlib.sha256(data).hexdigest(),
        }
        # Last: its presence means that the matrix is whole.
        atomic_write_text(folder / "embeddings.json", json.dumps(facts, indent=1) + "\n")
    # Also the logs of other embedders that were given up on, and SQLite's files beside them.
    for path in folder.glob(".embeddings-*.sqlite*"):
        path.unlink(missing_ok=True)


def _embed(texts: list[str], embedder: Embedder, log: Log) -> np.ndarray:
    """Rows float32[M, E] of the texts, block by block, each in the log as soon as it is there."""
    rows = []
    for start in range(0, len(texts), BLOCK):
        block, key = texts[start : start + BLOCK], f"{start // BLOCK:08d}"
        if key not in log:
            vectors = np.asarray(embedder.embed(block), np.float32)
            log.append(key, [vectors.tobytes()], {})
        # E is not known before the first answer, and the log holds bytes alone.
        rows.append(np.frombuffer(log.read(key)[0], np.float32).reshape(len(block), -1))
    if len(widths := {row.shape[1] for row in rows}) > 1:
        found = " and ".join(map(str, sorted(widths)))
        raise UserError(
            f"{log.path}: vectors of {found} numbers, so the embedder has changed; delete the file "
            "to embed again"
        )
    return np.concatenate(rows) if rows else np.zeros((0, 0), np.float32)


def read_vectors(folder: Path, embedder: Embedder) -> np.ndarray:
    """The matrix float32[M, E], rows in the order of `distinct_keys`.

    Raises:
        UserError: missing, damaged, of another bank or by another embedder.
    """
    path = folder / "embeddings.npy"
    facts = _facts(folder)
    if facts is None:
        raise UserError(f"{path}: not finished; run `duomem memories` to its end")
    _refuse_other(folder, facts, embedder)
    again = f"delete {path} and embeddings.json and run `duomem memories` again"
    try:
        # Read once: what is checked is what is used.
        data = path.read_bytes()
        if hashlib.sha256(data).hexdigest() != facts["sha256"]:
            raise UserError(f"{path}: content differs from the hash in embeddings.json; {again}")
        return np.load(io.BytesIO(data), allow_pickle=False).astype(np.float32)
    except (OSError, ValueError) as e:
        raise UserError(f"{path}: not readable ({e}); {again}") from e


def _facts(folder: Path) -> dict[str, Any] | None:
    path = folder / "embeddings.json"
    if not path.exists():
        return None
    remedy = "delete it and run `duomem memories` again"
    return read_json(path, missing=remedy, damaged=remedy, form=_Facts)


def _refuse_other(folder: Path, facts: dict, embedder: Embedder) -> None:
    path = folder / "embeddings.json"
    if facts["embedder"] != embedder.name:
        raise UserError(
            f"{path}: made by the embedder {facts['embedder']!r}, not {embedder.name!r}; choose "
            "that one, or build the bank again in another folder"
        )
    # The memories may have been written again beneath a matrix that was left in place.
    if facts["bank"] != content_hash(folder):
        raise UserError(f"{path}: belongs to another bank; delete it and run `duomem memories`")
