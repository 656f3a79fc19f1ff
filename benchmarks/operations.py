"""What an operation on memories costs, by how the base is held.

    python benchmarks/operations.py FOLDER --assistant.name experts --assistant.model MODEL \\
        --assistant.extract ADAPTER --assistant.update ADAPTER --assistant.answer ADAPTER

FOLDER holds dialogues (`duomem dialogues`, `duomem locomo prepare`). The first is remembered and
asked about until all is compiled; the second is measured, alone. Each way of holding the base has a
process of its own. Seconds are wall time; memory is the largest of the process, with loading and
compiling; `same` is the share of answers that are those of the first way.
"""

import dataclasses
import json
import resource
import subprocess
import sys
import tempfile
import time
import typing
from pathlib import Path
from typing import Any, NamedTuple

import tyro

from duomem_jax.base.rowlog import read_rows
from duomem_jax.evals.dialogues.assistant import Assistant
from duomem_jax.evals.dialogues.metrics import key_of, locomo_f1
from duomem_jax.evals.dialogues.run import at_work
from duomem_jax.evals.dialogues.subject import STORES, WORK, Subject
from duomem_jax.memory.operations.names import ANSWER
from duomem_jax.models.load import load_pretrained
from duomem_jax.models.locate import model_path
from duomem_jax.models.quantize import Quantize
from duomem_jax.models.shapes import tree_bytes
from duomem_jax.records.answers import Worked
from duomem_jax.records.dialogues import Dialogue
from duomem_jax.records.talked import read_dialogues
from duomem_jax.report.table import markdown_table
from duomem_jax.speak.served.server import Server

HEADER = (
    "base",
    "weights, MB",
    "memory, MiB",
    "operation",
    "calls",
    "tokens read a call",
    "tokens written a call",
    "s a call",
    "F1",
    "same",
)


class Cost(NamedTuple):
    """What all calls of one operation took."""

    operation: str
    calls: int
    read: int
    written: int
    seconds: float


def main(
    dialogues: str,
    /,
    assistant: Assistant,
    kinds: tuple[Quantize, ...] = typing.get_args(Quantize),
    alone: bool = False,
) -> None:
    """Print a table.

    Args:
        dialogues: folder of two dialogues or more.
        assistant: whose operations.
        kinds: how its base is held; "" as its folder has it.
        alone: measure the first kind in this process, and print JSON.
    """
    if alone:
        local = dataclasses.replace(assistant.models.local, quantize=kinds[0])
        models = dataclasses.replace(assistant.models, local=local)
        print(json.dumps(measure(dialogues, dataclasses.replace(assistant, models=models))))
        return
    found = {kind: in_a_process(kind) for kind in kinds}
    first = found[kinds[0]]["answers"]
    lines = [line for kind in kinds for line in table_lines(kind, found[kind], first)]
    print(markdown_table(HEADER, lines))


def in_a_process(kind: str) -> dict[str, Any]:
    """What this program measures of one kind, in a process of its own."""
    command = [sys.executable, *sys.argv, "--alone", "--kinds", kind]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def table_lines(kind: str, found: dict[str, Any], first: list[str]) -> list[list[str]]:
    """A line for each operation.

    Args:
        kind: how the base was held.
        found: what was measured.
        first: answers of the first kind.
    """
    same = sum(a == b for a, b in zip(first, found["answers"], strict=True)) / len(first)
    lines = []
    for row in found["operations"]:
        name, calls, read, written, seconds = Cost(*row)
        own = [f"{100 * found['f1']:.1f}", f"{100 * same:.0f} %"] if name == ANSWER else ["", ""]
        head = [kind or "as it is", f"{found['weights'] / 1e6:.0f}", f"{found['memory']:,.0f}"]
        costs = [f"{read / calls:.0f}", f"{written / calls:.1f}", f"{seconds / calls:.2f}"]
        lines.append([*head, name, str(calls), *costs, *own])
    return lines


def measure(dialogues: str, assistant: Assistant) -> dict[str, Any]:
    """Costs of the second dialogue, by operation."""
    models = assistant.models
    _, params = load_pretrained(model_path(models.model), quantize=models.local.quantize)
    weights = tree_bytes(params)
    del params
    warm, told = read_dialogues(dialogues)[:2]
    with (
        tempfile.TemporaryDirectory() as out,
        at_work(assistant, Path(out), 0, Server()) as subject,
    ):
        answered(subject, warm)
        answers, cost = answered(subject, told)
        (log,) = Path(out).glob(f"{STORES}/*/{WORK}")
        worked = [row for row in read_rows(log, Worked) if row.dialogue == told.id]
    operations = [
        Cost(w.operation, w.calls, w.cost.prompt_tokens, w.cost.new_tokens, w.cost.seconds)
        for w in worked
    ]
    keys = zip(answers, told.questions, strict=True)
    scores = [locomo_f1(answer, key_of(q), q.kind) for answer, q in keys]
    return {
        "weights": weights,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "operations": [*operations, cost],
        "answers": answers,
        "f1": sum(scores) / len(scores),
    }


def answered(subject: Subject, dialogue: Dialogue) -> tuple[list[str], Cost]:
    """Answers about a dialogue, "" where a chat does not fit, and what they took."""
    pages = subject.pages(dialogue)
    start = time.monotonic()
    replies = subject.replies(dialogue.questions, pages)
    seconds = time.monotonic() - start
    given = [reply for reply in replies if reply]
    read, new = sum(r.prompt_tokens for r in given), sum(r.new_tokens for r in given)
    texts = [reply.text if reply else "" for reply in replies]
    return texts, Cost(ANSWER, len(texts), read, new, seconds)


if __name__ == "__main__":
    tyro.cli(main)
