"""The whole of MemLoRA as one resumable run: model and dialogues in, table and picture out.

    dialogues -> demonstrations of each operation -> rows -> an expert of each operation and fold
    assistants -> what they remember and answer, of dialogues their experts never saw -> report

Everything lies under `output`; a stage whose folder is complete is reused.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

from duomem_jax.base.lock import writing_alone
from duomem_jax.base.parallel import run_all
from duomem_jax.evals.dialogues.describe import QUESTIONS
from duomem_jax.evals.dialogues.score import results
from duomem_jax.experiments.memories.experiment import COMPARED, ROWS, MemoryExperiment
from duomem_jax.experiments.memories.folds import (
    AllLessons,
    Fold,
    Lessons,
    all_lessons,
)
from duomem_jax.experiments.memories.pictured import pictured_section
from duomem_jax.experiments.training import train_adapter
from duomem_jax.memory.embed import make_embedder
from duomem_jax.memory.operations.names import LOOK, Name
from duomem_jax.records.answers import collect_answers
from duomem_jax.report.remembering import remembering_section
from duomem_jax.report.write import write_report
from duomem_jax.stages.demonstrations import demonstrations
from duomem_jax.stages.examples import Examples, examples
from duomem_jax.stages.locomo import run
from duomem_jax.stages.pictures import Pictures, pictures

log = logging.getLogger(__name__)
KIND = "an experiment with memories"  # of its output folder


def run_memories(e: MemoryExperiment) -> Path:
    """Run whatever is not done yet; return the path of report.md.

    Raises:
        UserError: bad input, or an output folder of another experiment.
    """
    with writing_alone(e.output, KIND):
        return _run(e)


def _run(e: MemoryExperiment) -> Path:
    folds = e.dialogues.folds(Path(e.output) / "dialogues")
    lessons = {(o, name): one for (o, name), one in all_lessons(folds).items() if o in e.taught}
    write_rows(e, lessons)
    trainings = [e.training(o, one, seed) for seed in e.seeds for (o, _), one in lessons.items()]
    run_all(train_adapter, [(config,) for config in trainings], e.workers)
    run_all(_ask, [(e, *job) for job in _jobs(e, folds)], e.workers)
    return report(e, folds)


def write_rows(e: MemoryExperiment, lessons: AllLessons) -> None:
    """Write what every expert learns from, and what says when it is to stop."""
    # Dialogues are demonstrated once, however many experts learn from them.
    told = dict.fromkeys((o, folder) for (o, _), one in lessons.items() for folder in e.read(one))
    run_all(_demonstrate, [(e, operation, folder) for operation, folder in told], e.workers)
    if looked := tuple(_shown(e, o, folder) for o, folder in told if o == LOOK):
        how = Pictures(e.local.tiles)
        log.info(pictures(str(e.pictures), looked, e.model, how))
    run_all(_pack, [(e, o, one) for (o, _), one in lessons.items()], e.workers)


def _demonstrate(e: MemoryExperiment, operation: Name, dialogues: str) -> None:
    log.info(demonstrations(_shown(e, operation, dialogues), dialogues, operation, e.teaching))


def _shown(e: MemoryExperiment, operation: Name, dialogues: str) -> str:
    """Folder of the demonstrations of one operation on the dialogues of a folder."""
    return str(Path(e.output) / "demonstrations" / operation / Path(dialogues).name)


def _pack(e: MemoryExperiment, operation: Name, lessons: Lessons) -> None:
    config = e.training(operation, lessons, seed=0)
    rows = {config.data: lessons.learnt}
    if config.validation:
        rows[config.validation] = (lessons.validation,)
    for out, folders in rows.items():
        shown = tuple(_shown(e, operation, folder) for folder in folders)
        how = Examples(length=e.length)
        log.info(examples(out, e.model, demonstrations=shown, pictures=config.pictures, how=how))


def _jobs(e: MemoryExperiment, folds: Sequence[Fold]) -> list[tuple[str, Fold, int]]:
    """(row, fold, seed) in the order in which they are asked; of rows without experts one seed."""
    return [
        (row, fold, seed)
        for row in e.rows
        for seed in (e.seeds if ROWS[row].experts else e.seeds[:1])
        for fold in folds
    ]


def _ask(e: MemoryExperiment, row: str, fold: Fold, seed: int) -> None:
    log.info(run(answers(e, fold), fold.asked, e.assistant(row, fold, seed), seed))


def answers(e: MemoryExperiment, fold: Fold) -> str:
    """Folder of the answers about a fold's dialogues."""
    return str(Path(e.output) / "answers" / fold.name)


def report(e: MemoryExperiment, folds: Sequence[Fold]) -> Path:
    """Write the report of what has been answered."""
    folders = [answers(e, fold) for fold in folds]
    said = [answer for folder in folders for answer in collect_answers(folder)]
    rows = results(said, make_embedder(e.teaching.embedder))
    sections = remembering_section(folders), pictured_section(rows, COMPARED)
    return write_report(
        e.output,
        rows,
        QUESTIONS,
        title=e.title,
        note=_note(e, folds),
        order=list(ROWS),
        compared=COMPARED,
        sections=[section for section in sections if section],
    )


def _note(e: MemoryExperiment, folds: Sequence[Fold]) -> str:
    trained = "; ".join(_trained(e, operation) for operation in e.taught) or "none"
    return (
        f"{e.dialogues.told(folds)}. One model, {Path(e.model).name}, and LoRA experts on it, one "
        f"for an operation: {trained}. Rows of {e.length:,} tokens; training seeds "
        f"{', '.join(map(str, e.seeds))}. Turns and memories fill up to {e.tokens} tokens of a "
        "page."
    )


def _trained(e: MemoryExperiment, operation: Name) -> str:
    config = getattr(e, operation)
    stop = f", at most {config.steps}" if e.patience else f", {config.steps}"
    return (
        f"{operation} of rank {config.lora.rank} on {', '.join(config.lora.targets)}"
        f"{stop} steps of {config.global_batch} rows"
    )
