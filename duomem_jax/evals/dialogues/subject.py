"""An assistant at work: what it shows with each question, and what remembering takes."""

import functools
import hashlib
import json
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from duomem_jax.base.rowlog import RowLog
from duomem_jax.evals.dialogues import show
from duomem_jax.evals.dialogues.assistant import Assistant
from duomem_jax.evals.dialogues.remember import known, remembered
from duomem_jax.evals.dialogues.show import Page
from duomem_jax.memory.embed import Embedder, make_embedder
from duomem_jax.memory.operations.answer import LONGEST, answer_chat
from duomem_jax.memory.operations.ask import Tally
from duomem_jax.memory.operations.keeper import Experts, ModelKeeper
from duomem_jax.memory.operations.look import look_chat
from duomem_jax.memory.operations.names import EXTRACT, UPDATE, Name
from duomem_jax.memory.store.keeper import Keeper, Verbatim
from duomem_jax.memory.store.store import Store
from duomem_jax.memory.teach.tell import TEACHER
from duomem_jax.records.answers import Worked
from duomem_jax.records.dialogues import Dialogue, Question
from duomem_jax.records.pictures import PictureFolder
from duomem_jax.speak.protocol import Reply, Sampling

STORES = "stores"  # in the folder of answers: a folder for each way of remembering
WORK = "work.log"  # in such a folder: what remembering took


@dataclass(frozen=True)
class Subject:
    """An assistant with its models.

    Attributes:
        assistant: who is asked.
        experts: its models.
        out: folder of answers, with the stores of what is remembered. Assistants that remember in
            the same way share them, and differ in what they answer alone.
        seed: of the training of its experts.
        pictures: of the dialogues, where it looks at them; None: it reads.
    """

    assistant: Assistant
    experts: Experts
    out: Path
    seed: int
    pictures: PictureFolder | None = None

    # Both may have to load something: once, not for each dialogue, however many threads ask.
    _loading: threading.Lock = field(default_factory=threading.Lock, compare=False)

    @property
    def _embedder(self) -> Embedder:
        with self._loading:
            return self._loaded_embedder

    @property
    def _count(self) -> Callable[[str], int]:
        with self._loading:
            return self._loaded_count

    @functools.cached_property
    def _loaded_embedder(self) -> Embedder:
        return make_embedder(self.assistant.embedder)

    @functools.cached_property
    def _loaded_count(self) -> Callable[[str], int]:
        return self.assistant.counter()

    def pages(self, dialogue: Dialogue) -> list[Page]:
        """What it shows with each question about a dialogue, which it remembers first."""
        questions, tokens = dialogue.questions, self.assistant.tokens
        match self.assistant.shown:
            case "nothing":
                return list(map(show.nothing, questions))
            case "whole":
                return list(map(show.whole(dialogue), questions))
            case "evidence":
                return list(map(show.evidence(dialogue, self.pictures), questions))
            case "recent":
                return list(map(show.recent(dialogue, tokens, self._count), questions))
        with self.opened(self.held(dialogue)) as store:
            return self.recalled(store, questions)

    def held(self, dialogue: Dialogue) -> Path:
        """The store that is searched for a question: of turns, or of memories."""
        match self.assistant.shown:
            case "turns":
                stores = self._stores({"keeper": Verbatim.name})
                return remembered(dialogue, Verbatim(), self._embedder, stores, self.pictures)
            case "facts":
                stores = self._stores({"keeper": TEACHER})
                return known(dialogue, self._embedder, stores, self.pictures)
        return self.memories(dialogue)

    def recalled(self, store: Store, questions: Sequence[Question]) -> list[Page]:
        """What it shows of a store with each question."""
        looks, tokens = self.pictures is not None, self.assistant.tokens
        return list(map(show.recalled(store, tokens, self._count, looks=looks), questions))

    def replies(self, questions: Sequence[Question], pages: Sequence[Page]) -> list[Reply | None]:
        """What it answers to each question behind its page; None where both do not fit."""
        asked, how = list(zip(questions, pages, strict=True)), Sampling(LONGEST)
        read = [answer_chat(q.text, page.memos) for q, page in asked if not page.sights]
        looked = [look_chat(q.text, page.sights) for q, page in asked if page.sights]
        answered, seen = self.experts.answer.reply(read, how), self.experts.look.reply(looked, how)
        return [next(seen if page.sights else answered) for page in pages]

    def opened(self, file: Path, keeper: Keeper | None = None) -> Store:
        """A store of what is remembered."""
        return Store.open(file, embedder=self._embedder, keeper=keeper)

    def keeper(self) -> ModelKeeper:
        """What remembers with its experts, and counts from zero what that takes."""
        return ModelKeeper(self.experts)

    def memories(self, dialogue: Dialogue) -> Path:
        """The store of what its experts remember of a dialogue, made where it is not there."""
        how = self.assistant.remembering()
        # A keeper for each dialogue: it counts what this one takes.
        keeper, stores = self.keeper(), self._stores(how)
        file = remembered(dialogue, keeper, self._embedder, stores, self.pictures)
        # None where the store was there already: of a killed run, or of another assistant.
        if keeper.extracting.tally.calls:
            # Others may have finished a dialogue at the same moment; a log has one writer.
            with FileLock(stores / f".{WORK}.lock"), RowLog(stores / WORK, how, Worked) as log:
                log.append(
                    self._worked(dialogue, EXTRACT, keeper.extracting.tally),
                    self._worked(dialogue, UPDATE, keeper.updating.tally),
                )
        return file

    def _stores(self, how: dict[str, Any]) -> Path:
        """The folder of all that is remembered in one way."""
        how = how | {"embedder": self._embedder.name}
        # Others' folders stay what they are.
        how |= {"pictures": True} if self.pictures else {}
        text = json.dumps(how, sort_keys=True)
        return self.out / STORES / hashlib.sha256(text.encode()).hexdigest()[:12]

    def _worked(self, dialogue: Dialogue, operation: Name, tally: Tally) -> Worked:
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
