"""What an experiment with memories is: a model, dialogues, and an expert for each operation."""

import dataclasses
from dataclasses import field
from pathlib import Path
from typing import NamedTuple

from duomem_jax.base.errors import UserError
from duomem_jax.base.ranges import Count, Few, Length, Limit, Seed, options
from duomem_jax.evals.dialogues.assistant import Assistant, Shown
from duomem_jax.experiments.memories.folds import Conversations, Fold, Generated, Lessons
from duomem_jax.memory.operations.models import Models
from duomem_jax.memory.operations.names import ANSWER, EXPERTS, LOOK, OPERATIONS, Name
from duomem_jax.memory.teach import Teaching
from duomem_jax.speak.open import Local
from duomem_jax.train.config import TrainConfig

# Rows of the table that it compares.
NO_EXPERTS, ALL_EXPERTS = "memories, no experts", "memories, all experts"
TURNS, TURNS_ANSWERED = "turns found", "turns found, answer expert"
TAUGHT = "memories, teacher's"
GOLD, GOLD_ANSWERED = "gold evidence", "gold evidence, answer expert"
# Where what is shown has a picture, that is looked at, and its caption is not read.
TURNS_LOOKED = "turns found, pictures, both experts"
GOLD_LOOKS, GOLD_LOOKED = "gold evidence, pictures", "gold evidence, pictures, look expert"


def without(operation: Name) -> str:
    """Row of the table that has all experts but one."""
    return f"memories, no {operation} expert"


class Row(NamedTuple):
    """Who is asked.

    Attributes:
        shown: before a question.
        experts: operations that an expert does; the others the model does as it is.
        pictures: whether it looks at those of what is shown; else it reads their captions.
    """

    shown: Shown
    experts: tuple[Name, ...] = ()
    pictures: bool = False


ROWS: dict[str, Row] = {
    "no memory": Row("nothing"),
    "no memory, answer expert": Row("nothing", (ANSWER,)),
    "recent turns, answer expert": Row("recent", (ANSWER,)),
    "whole conversation": Row("whole"),
    TURNS: Row("turns"),
    TURNS_ANSWERED: Row("turns", (ANSWER,)),
    NO_EXPERTS: Row("memories"),
    **{without(o): Row("memories", tuple(p for p in OPERATIONS if p != o)) for o in OPERATIONS},
    ALL_EXPERTS: Row("memories", OPERATIONS),
    TAUGHT: Row("facts", (ANSWER,)),
    GOLD: Row("evidence"),
    GOLD_ANSWERED: Row("evidence", (ANSWER,)),
    TURNS_LOOKED: Row("turns", (ANSWER, LOOK), pictures=True),
    GOLD_LOOKS: Row("evidence", (ANSWER,), pictures=True),
    GOLD_LOOKED: Row("evidence", (ANSWER, LOOK), pictures=True),
}
# Of those who read: the usual ones, which any model may be asked in.
READERS = tuple(name for name, row in ROWS.items() if not row.pictures)
# Who looks, beside who reads what is said of pictures.
LOOKERS = (GOLD, GOLD_ANSWERED, GOLD_LOOKS, GOLD_LOOKED, TURNS_ANSWERED, TURNS_LOOKED)
COMPARED = (
    (NO_EXPERTS, ALL_EXPERTS),
    *((without(operation), ALL_EXPERTS) for operation in OPERATIONS),
    (TURNS, ALL_EXPERTS),
    (TURNS_ANSWERED, ALL_EXPERTS),
    (GOLD, GOLD_ANSWERED),
    (TURNS_ANSWERED, TURNS_LOOKED),
    (GOLD_ANSWERED, GOLD_LOOKED),
    (GOLD_LOOKS, GOLD_LOOKED),
)


@options
class MemoryExperiment:
    """Which model keeps memories of which dialogues, and how its experts learn that."""

    title: str
    output: str  # folder for everything
    model: str  # Hugging Face folder, hub id or shipped model
    dialogues: Generated | Conversations
    extract: TrainConfig  # of the expert; what it reads and writes, patience and seed are filled in
    update: TrainConfig  # likewise
    answer: TrainConfig  # likewise
    teaching: Teaching = field(default_factory=Teaching)  # its embedder finds for assistants too
    # Checkpoints in a row without a smaller loss on held-out dialogues, after which training ends.
    # The best one is the expert; 0: the last one is, whatever the loss.
    patience: Limit = 0
    look: TrainConfig | None = None  # of the expert of pictures; None: there is none
    length: Length = 1024  # tokens of a row that is learnt from
    tokens: Count = 400  # of turns or memories that are shown with a question
    local: Local = Local()  # how the model is held that is asked
    seeds: tuple[Seed, ...] = (0,)  # of training
    rows: tuple[str, ...] = READERS  # of the table, in the order in which they are asked
    workers: Few = 1  # experts trained, and rows of the table asked, side by side

    def __post_init__(self) -> None:
        if unknown := [row for row in self.rows if row not in ROWS]:
            raise UserError(f"rows: no row {unknown[0]}; choose from {', '.join(ROWS)}")
        looking = [row for row in self.rows if LOOK in ROWS[row].experts]
        if looking and self.look is None:
            raise UserError(f"rows: {looking[0]} has an expert of pictures; give look, or omit it")

    @property
    def taught(self) -> tuple[Name, ...]:
        """Operations that a row has an expert of; others are not learnt."""
        asked = {operation for row in self.rows for operation in ROWS[row].experts}
        return tuple(operation for operation in EXPERTS if operation in asked)

    def training(self, operation: Name, lessons: Lessons, seed: int) -> TrainConfig:
        """How an expert is trained."""
        config: TrainConfig = getattr(self, operation)
        folder = self.folder(operation, lessons)
        return dataclasses.replace(
            config,
            base=self.model,
            data=str(folder / "rows"),
            validation=str(folder / "validation-rows") if self.patience else "",
            patience=self.patience,
            pictures=str(self.pictures) if operation == LOOK else "",
            output=str(folder / f"seed{seed}"),
            seed=seed,
        )

    @property
    def pictures(self) -> Path:
        """Folder of what the model sees in all pictures that are learnt from."""
        return Path(self.output) / "pictures"

    def read(self, lessons: Lessons) -> tuple[str, ...]:
        """Folders of the dialogues that training reads."""
        return (*lessons.learnt, lessons.validation) if self.patience else lessons.learnt

    def folder(self, operation: Name, lessons: Lessons) -> Path:
        """Of what an expert learns from, and of the expert."""
        return Path(self.output) / "experts" / operation / lessons.name

    def assistant(self, name: str, fold: Fold, seed: int) -> Assistant:
        """A row of the table, with the experts that did not learn from a fold's dialogues."""
        row = ROWS[name]
        experts = {
            operation: str(Path(self.training(operation, lessons, seed).output) / "adapter")
            for operation, lessons in fold.lessons.items()
            if operation in row.experts
        }
        models = Models(self.model, **experts, local=self.local)
        return Assistant(
            name,
            models,
            row.shown,
            self.tokens,
            self.teaching.embedder,
            pictures=row.pictures,
        )
