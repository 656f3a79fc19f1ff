"""How fast packed rows are read, with and without stored targets.

    python benchmarks/reading.py

Rows of 2,048 random tokens, a quarter of them replies, vocabulary 151,936; batches of 8 as a step
gets them, from the page cache, in one process. Bytes are those on disk.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
import tyro
from duomem_jax.data.targets import pack_ids, target_layout

from duomem_jax.data.loader import batches
from duomem_jax.data.pack import row_layout
from duomem_jax.records.store.spec import DatasetSpec
from duomem_jax.records.store.write import write_dataset
from duomem_jax.report.table import markdown_table

T, REPLIES, VOCAB = 2048, 512, 151_936


def make_rows(n: int, k: int) -> list[dict[str, np.ndarray]]:
    """Random rows; k = 0 for no targets."""
    rng = np.random.default_rng(0)
    rows = []
    for _ in range(n):
        mask = np.zeros(T, np.uint8)
        mask[-REPLIES:] = 1
        row = {
            "tokens": rng.integers(0, VOCAB, T).astype(np.int32),
            "segment_ids": np.ones(T, np.uint8),
            "loss_mask": mask,
        }
        if k:
            row |= pack_ids(rng.integers(0, VOCAB, (REPLIES, k)), VOCAB)
            row |= {
                "target_log_probs": rng.normal(-5, 2, (REPLIES, k)).astype(np.float16),
                "target_rest": np.full(REPLIES, -3, np.float16),
                "target_mask": np.ones(REPLIES, np.uint8),
            }
        rows.append(row)
    return rows


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
        layout = row_layout([T]) | (target_layout(REPLIES, k, VOCAB, "topk") if k else {})
        spec = DatasetSpec("examples", layout, compress=not k)
        with tempfile.TemporaryDirectory() as folder:
            made = make_rows(rows, k)
            write_dataset(folder, ["0"], lambda keys, made=made: [("0", made, {})], spec)
            size = sum(f.stat().st_size for f in Path(folder).glob("*.array_record*"))
            read = batches(folder, "train", global_batch=8, seed=0)
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
