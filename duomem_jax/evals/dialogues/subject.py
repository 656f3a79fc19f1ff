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
from duomem_jax.memory.store.keeper import Verbatim
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
        embedder = make_embedder(assistant.embedder)
        if assistant.shown == "turns":
            file = remembered(dialogue, Verbatim(), embedder, self.folder)
        else:
            file = self._memories(dialogue)
        return show.recalled(Store.open(file, embedder=embedder), assistant.tokens, count)

    def _memories(self, dialogue: Dialogue) -> Path:
        """The store of what its experts remember."""
        # A keeper for each dialogue: it counts what this one takes.
        keeper = ModelKeeper(self.experts)
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
