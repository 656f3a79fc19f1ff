"""MemLoRA in miniature: one command from generated dialogues to a table of assistants.

dialogues -> demonstrations of each operation -> rows -> an expert for each operation
held-out dialogues + assistants -> answers -> report
"""

import logging
import os
import shlex
import time
from dataclasses import field
from pathlib import Path

from duomem_jax.base.folder import claim_folder
from duomem_jax.base.lock import lock_for_writing, unlock
from duomem_jax.base.parallel import run_all
from duomem_jax.base.ranges import Count, Length, Seed, options
from duomem_jax.evals.dialogues.assistant import Assistant, Shown
from duomem_jax.evals.dialogues.describe import QUESTIONS
from duomem_jax.evals.dialogues.score import results
from duomem_jax.experiments.program import program
from duomem_jax.experiments.training import train_adapter
from duomem_jax.memory.embed import DEFAULT_EMBEDDER, make_embedder
from duomem_jax.memory.operations.models import Models
from duomem_jax.memory.teach import ANSWER, EXTRACT, UPDATE
from duomem_jax.memory.teach.teaching import Name, Teaching
from duomem_jax.models.lora import LoraConfig
from duomem_jax.models.platform import platform
from duomem_jax.models.shipped import model_folder
from duomem_jax.records.answers import collect_answers
from duomem_jax.report.write import write_report
from duomem_jax.stages.demonstrations import demonstrations
from duomem_jax.stages.dialogues import dialogues
from duomem_jax.stages.examples import Examples, examples
from duomem_jax.stages.locomo import run
from duomem_jax.stages.options import Folder
from duomem_jax.train.config import OptimizerConfig, TrainConfig
from duomem_jax.worlds.dialogues import Size

log = logging.getLogger(__name__)
KIND = "memories in miniature"  # of its output folder
NO_EXPERTS, ALL_EXPERTS = "memories, no experts", "memories, all experts"
GOLD, GOLD_ANSWERED = "gold evidence", "gold evidence, answer expert"
TURNS, TURNS_ANSWERED = "turns found", "turns found, answer expert"
OPERATIONS = (EXTRACT, UPDATE, ANSWER)
WORDS = 200  # on a page that answering is learnt from: as many as there are when it is tested
NEXT = """\
What to run next, in the folder that you are in:
- train an expert of one operation with other values:
  {duomem} train --config configs/remember.py --data {out}/extract/rows \\
      --output {out}/my-expert --lora.rank 8
- remember something of your own with the three experts:
  {duomem} memory add {out}/mine.sqlite "I moved to Lisbon last Friday." --speaker Ana \\
      --model tiny-listener --extract {out}/extract/expert/adapter \\
      --update {out}/update/expert/adapter --answer {out}/answer/expert/adapter
- what people talk about there: docs/dialogues.md
"""


@options
class Remembering:
    """Sizes that fit ten minutes on two cores."""

    train: Count = 200  # dialogues that the experts learn from
    test: Count = 12  # held-out dialogues that are asked about
    steps: Count = 250  # of training, of each expert
    batch: Count = 4  # rows of a step
    length: Length = 1024  # tokens of a row
    tokens: Count = 400  # of turns or memories that are shown with a question
    seed: Seed = 1
    size: Size = Size()  # of a dialogue
    model: str = field(default_factory=lambda: str(model_folder("tiny-listener")))


def expert_training(out: str, operation: Name, how: Remembering) -> TrainConfig:
    """How the expert of an operation is trained."""
    root = Path(out) / operation
    return TrainConfig(
        base=how.model,
        data=str(root / "rows"),
        output=str(root / "expert"),
        lora=LoraConfig(rank=16, alpha=32.0),
        optimizer=OptimizerConfig(
            name="muon", learning_rate=1e-2, schedule="linear", warmup_steps=10
        ),
        steps=how.steps,
        global_batch=how.batch,
        checkpoint_every=100,
    )


def assistants(out: str, how: Remembering) -> list[Assistant]:
    """The rows of the table."""

    def one(name: str, shown: Shown, *experts: Name) -> Assistant:
        extract, update, answer = (
            str(Path(expert_training(out, o, how).output) / "adapter") if o in experts else ""
            for o in OPERATIONS
        )
        return Assistant(name, Models(how.model, extract, update, answer), shown, how.tokens)

    return [
        one("no memory", "nothing"),
        one("recent turns", "recent"),
        one("whole conversation", "whole"),
        one(TURNS, "turns"),
        one(TURNS_ANSWERED, "turns", ANSWER),
        one(NO_EXPERTS, "memories"),
        *(
            one(without(operation), "memories", *(o for o in OPERATIONS if o != operation))
            for operation in OPERATIONS
        ),
        one(ALL_EXPERTS, "memories", *OPERATIONS),
        one(GOLD, "evidence"),
        one(GOLD_ANSWERED, "evidence", ANSWER),
    ]


def without(operation: Name) -> str:
    """Name of the assistant that has all experts but one."""
    return f"memories, no {operation} expert"


COMPARED = (
    (NO_EXPERTS, ALL_EXPERTS),
    *((without(operation), ALL_EXPERTS) for operation in OPERATIONS),
    (TURNS, ALL_EXPERTS),
    (TURNS_ANSWERED, ALL_EXPERTS),
    (GOLD, GOLD_ANSWERED),
)


def remember(out: Folder = "runs/remember", /) -> str:
    """MemLoRA in miniature on generated dialogues: about ten minutes on two cores.

    Args:
        out: folder for everything it makes; what is there already is reused.

    Returns:
        The report, and what to run next.

    Raises:
        UserError: the output folder is of another version, or the disk is full.
    """
    start = time.monotonic()
    lock = lock_for_writing(claim_folder(out, KIND))
    try:
        report = run_remembering(out, Remembering())
    finally:
        unlock(lock)
    passed = time.monotonic() - start
    text = report.read_text(encoding="utf-8")
    return (
        f"{text}\nPicture: {report.with_name(f'{QUESTIONS.headline}.png')}\n"
        f"All of it took {passed:.0f} s.\n\n{next_steps(out)}"
    )


def run_remembering(out: str, how: Remembering) -> Path:
    """Do whatever is not done yet; the path of report.md.

    Raises:
        UserError: a folder is of other sizes or of another version.
    """
    root = Path(out)
    learnt, asked = str(root / "dialogues-train"), str(root / "dialogues-held-out")
    log.info(dialogues(learnt, count=how.train, seed=how.seed, size=how.size))
    log.info(dialogues(asked, count=how.test, seed=how.seed, held_out=True, size=how.size))
    workers = _workers()
    run_all(_train, [(out, operation, learnt, how) for operation in OPERATIONS], workers)
    answers = str(root / "answers")
    rows = assistants(out, how)
    # Those first that take longest: they have memories to write before they are asked.
    longest = sorted(rows, key=lambda assistant: assistant.shown != "memories")
    run_all(run, [(answers, asked, assistant) for assistant in longest], workers)
    found = results(collect_answers(answers), make_embedder(DEFAULT_EMBEDDER))
    return write_report(
        root,
        found,
        QUESTIONS,
        title="MemLoRA in miniature: generated dialogues",
        note=_note(how),
        order=[assistant.name for assistant in rows],
        compared=COMPARED,
    )


def _workers() -> int:
    """Processes side by side: a small model makes poor use of a second core."""
    if platform() != "cpu":
        return 1
    return min(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1, 2)


def _train(out: str, operation: Name, learnt: str, how: Remembering) -> None:
    """Demonstrations, rows and the expert of one operation."""
    root = Path(out) / operation
    shown, rows = str(root / "demonstrations"), str(root / "rows")
    log.info(demonstrations(shown, learnt, operation, Teaching(tokens=WORDS)))
    log.info(examples(rows, how.model, demonstrations=shown, how=Examples(length=how.length)))
    train_adapter(expert_training(out, operation, how))


def _note(how: Remembering) -> str:
    lora = expert_training("", EXTRACT, how).lora
    return (
        f"{how.test} held-out dialogues: no name, value or phrasing of theirs is in the "
        f"{how.train} dialogues that the experts learnt from. One model, {Path(how.model).name}, "
        f"and for each operation a LoRA expert of rank {lora.rank} on it, {how.steps} steps of "
        f"{how.batch} rows of {how.length} tokens. Turns and memories fill up to {how.tokens} "
        "tokens of a page."
    )


def next_steps(out: str) -> str:
    """Commands to go on with, as they can be entered here."""
    return NEXT.format(duomem=program(), out=shlex.quote(out))
