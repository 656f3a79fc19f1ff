"""An assistant at work: what it shows with each question, and what remembering takes."""

from dataclasses import dataclass
from pathlib import Path

from duomem_jax.base.rowlog import RowLog
from duomem_jax.evals.dialogues import show
from duomem_jax.evals.dialogues.assistant import Assistant
from duomem_jax.evals.dialogues.remember import remembered
from duomem_jax.memory.embed import make_embedder
from duomem_jax.memory.operations.ask import Tally
from duomem_jax.memory.operations.keeper import Experts, ModelKeeper
from duomem_jax.memory.store.keeper import Keeper, Verbatim
from duomem_jax.memory.store.store import Store
from duomem_jax.records.answers import Worked
from duomem_jax.records.dialogues import Dialogue

WORK = "work.log"  # in the folder of its stores: what remembering takes


@dataclass(frozen=True)
class Subject:
    """An assistant with its models.

    Attributes:
        assistant: who is asked.
        experts: its models.
        folder: for stores, and the log of what remembering takes.
        seed: of the training of its experts.
    """

    assistant: Assistant
    experts: Experts
    folder: Path
    seed: int

    def show(self, dialogue: Dialogue) -> show.Show:
        """What it shows with a question about a dialogue, which it may have to remember first."""
        assistant = self.assistant
        match assistant.shown:
            case "nothing":
                return show.nothing
            case "whole":
                return show.whole(dialogue)
            case "evidence":
                return show.evidence(dialogue)
        count = assistant.counter()
        if assistant.shown == "recent":
            return show.recent(dialogue, assistant.tokens, count)
        if assistant.shown == "turns":
            embedder = make_embedder(assistant.embedder)
            file = remembered(dialogue, Verbatim(), embedder, self.folder)
        else:
            file = self.memories(dialogue)
        return show.recalled(self.opened(file), assistant.tokens, count)

    def opened(self, file: Path, keeper: Keeper | None = None) -> Store:
        """A store of what is remembered."""
        return Store.open(file, embedder=make_embedder(self.assistant.embedder), keeper=keeper)

    def keeper(self) -> ModelKeeper:
        """What remembers with its experts, and counts from zero what that takes."""
        return ModelKeeper(self.experts)

    def memories(self, dialogue: Dialogue) -> Path:
        """The store of what its experts remember of a dialogue, made where it is not there."""
        # A keeper for each dialogue: it counts what this one takes.
        keeper = self.keeper()
        file = remembered(dialogue, keeper, make_embedder(self.assistant.embedder), self.folder)
        rows = [
            self._worked(dialogue, "extract", keeper.extracting.tally),
            self._worked(dialogue, "update", keeper.updating.tally),
        ]
        # None where the store was there already: a killed run came as far as that.
        if keeper.extracting.tally.calls:
            with RowLog(self.folder / WORK, self.assistant.identity(), Worked) as log:
                log.append(*rows)
        return file

    def _worked(self, dialogue: Dialogue, operation: str, tally: Tally) -> Worked:
        return Worked(
            subject=self.assistant.name,
            dialogue=dialogue.id,
            operation=operation,
            seed=self.seed,
            calls=tally.calls,
            repaired=tally.repaired,
            rejected=len(tally.rejected),
            cost=tally.cost,
        )
