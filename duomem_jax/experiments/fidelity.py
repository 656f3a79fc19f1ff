"""How near each adapter of an experiment came to the teacher, and what it cost."""

import dataclasses
import json
from pathlib import Path

from duomem_jax.base.io import atomic_write_text
from duomem_jax.data.facts import RowFacts
from duomem_jax.evals.cost import TrainingCost
from duomem_jax.evals.fidelity import Fidelity, measure_fidelity


def nearness(student: str, teacher: str, probe: str, adapter: str) -> Fidelity:
    """The adapter's fidelity on the rows of `probe`, kept beside it; measured once.

    Args:
        student: Hugging Face folder.
        teacher: Hugging Face folder.
        probe: packed rows that no adapter was trained on.
        adapter: its folder; empty: the student as it is, measured again each time.
    """
    kept = Path(adapter).parent / "fidelity.json" if adapter else None
    if kept is not None and kept.exists():
        return Fidelity(**json.loads(kept.read_text()))
    found = measure_fidelity(student, teacher, probe, adapter=adapter)
    if kept is not None:
        atomic_write_text(kept, json.dumps(dataclasses.asdict(found), indent=1) + "\n")
    return found


def cost(run: str | Path) -> TrainingCost:
    """What a finished run of training took, from its folder."""
    folder = Path(run)
    config = json.loads((folder / "config.json").read_text())
    rows = [json.loads(x) for x in (folder / "metrics.jsonl").read_text().splitlines()]
    ends = [row["step"] for row in rows]
    spans = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    data = config["data"]  # none where the student played its rows
    counts = RowFacts.read(data).counts if data else {}
    return TrainingCost(
        steps=config["steps"],
        tokens=sum(n * row["loss_tokens"] for n, row in zip(spans, rows, strict=True)),
        seconds=sum(row["seconds"] for row in rows),
        target_bytes=counts.get("target_bytes", 0),
    )
