"""How fast packed rows are read, with and without stored targets.

    python benchmarks/reading.py

Rows of 2,048 random tokens, a quarter of them replies, vocabulary 151,936; batches of 8 as a step
gets them, from the page cache, in one process. Bytes are those on disk.
"""

import functools
import tempfile
import time
from pathlib import Path

import numpy as np
import tyro

from duomem_jax.data.loader import batches
from duomem_jax.data.rows import RowFormat, TargetFormat
from duomem_jax.objectives import Batch, Stored, Tokens
from duomem_jax.records.store.spec import DatasetSpec
from duomem_jax.records.store.write import write_dataset
from duomem_jax.report.table import markdown_table

T, REPLIES, VOCAB = 2048, 512, 151_936


def random_row(rng: np.random.Generator, k: int) -> Batch:
    """One row [T], with k candidates a reply token; 0 for no targets."""
    stored = None
    if k:
        stored = Stored(
            ids_BAC=rng.integers(0, VOCAB, (REPLIES, k)),
            log_probs_BAC=rng.normal(-5, 2, (REPLIES, k)),
            mask_BA=np.ones(REPLIES, bool),
            rest_BA=np.full(REPLIES, -3),
        )
    position_T = np.arange(T)
    student = Tokens(
        ids_BT=rng.integers(0, VOCAB, T),
        segments_BT=np.ones(T),
        positions_BT=position_T,
        reply_BT=position_T >= T - REPLIES,
    )
    return Batch(student, stored=stored)


def _rows(made: list[dict], missing: list[str]) -> list[tuple[str, list[dict], dict[str, int]]]:
    """All rows as one unit, under its key."""
    return [(missing[0], made, {})]


def main(
    rows: int = 512, candidates: tuple[int, ...] = (0, 16, 32, 64), seconds: float = 5
) -> None:
    """Print a table.

    Args:
        rows: of each data set.
        candidates: k of the targets; 0 for none.
        seconds: each is read for so long.
    """
    table = []
    for k in candidates:
        form = RowFormat(T, targets=TargetFormat(REPLIES, k, VOCAB, "topk") if k else None)
        spec = DatasetSpec("examples", form.layout(), compress=not k)
        rng = np.random.default_rng(0)
        made = [form.record(random_row(rng, k)) for _ in range(rows)]
        with tempfile.TemporaryDirectory() as folder:
            write_dataset(folder, ["0"], functools.partial(_rows, made), spec)
            size = sum(f.stat().st_size for f in Path(folder).glob("*.array_record*"))
            read = batches(folder, global_batch=8, seed=0)
            next(read)
            start, done = time.perf_counter(), 0
            while time.perf_counter() - start < seconds:
                next(read)
                done += 8
            passed = time.perf_counter() - start
            read.close()
        tokens = done * T / passed
        table.append(
            (
                str(k) if k else "none",
                f"{size / rows / T:.1f}",
                f"{tokens / 1e6:.2f}",
                f"{tokens * REPLIES / T / 1e6:.2f}",
            )
        )
    head = ("candidates", "bytes a token", "M tokens/s", "M reply tokens/s")
    print(markdown_table(head, table))


if __name__ == "__main__":
    tyro.cli(main)
