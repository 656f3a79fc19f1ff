"""Memories kept by models: one for each operation. They may be one model."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from duomem_jax.base.errors import UserError
from duomem_jax.memory.operations.answer import LONGEST, Memo, answer_chat, memo_of
from duomem_jax.memory.operations.ask import Asker, Question
from duomem_jax.memory.operations.draft import Draft, Known
from duomem_jax.memory.operations.extract import (
    Window,
    extract_chat,
    extract_schema,
    read_extract,
    windows,
)
from duomem_jax.memory.operations.look import look_chat, sights_of
from duomem_jax.memory.operations.records import Add
from duomem_jax.memory.operations.update import read_update, update_chat, update_schema
from duomem_jax.memory.store.change import plain
from duomem_jax.memory.store.keeper import Answer, Plan, Query
from duomem_jax.memory.store.store import Store
from duomem_jax.records.dialogues import Session, Turn
from duomem_jax.speak.protocol import Sampling, Speaker
from duomem_jax.speak.together import Together

# Tokens of a reply: eight facts, and four decisions of which each has a text.
EXTRACT_TOKENS, UPDATE_TOKENS = 512, 256


@dataclass(frozen=True)
class Experts:
    """Who does what; each is a model, or an expert of one. `base` has no expert, and talks.

    Threads that are at work with `base` are answered together, whoever of these they ask.
    """

    base: Together
    extract: Speaker
    update: Speaker
    answer: Speaker
    look: Speaker


class ModelKeeper:
    """Keeps a store with models; a `Keeper`.

    Attributes:
        name: of the models, as memories say who wrote them.
        extracting: asks for facts, and counts.
        updating: asks for what they change, and counts.
    """

    def __init__(self, experts: Experts, answer_k: int = 10):
        """Count from zero.

        Args:
            experts: who does what.
            answer_k: memories that `answer` shows.
        """
        self.name = experts.extract.name
        self.extracting = Asker(experts.extract, EXTRACT_TOKENS)
        self.updating = Asker(experts.update, UPDATE_TOKENS)
        self._answerer, self._looker, self._k = experts.answer, experts.look, answer_k
        self._extracted: dict[Window, Any] = {}  # replies to what has not been planned yet

    def expect(self, sessions: Sequence[Session]) -> None:
        """Extract from all sessions in full batches; one alone has fewer windows than rows.

        Replies that cannot be read are counted in the tally, and are in no plan.
        """
        self._extract([part for session in sessions for part in windows(session.turns, session.at)])

    def plan(self, store: Store, turns: Sequence[Turn], at: str, who: str) -> Plan:
        """What some turns of one session change."""
        before = len(self.extracting.tally.rejected), len(self.updating.tally.rejected)
        draft, parts = Draft(store, at, who), list(windows(turns, at))
        self._extract(parts)
        for part in parts:
            if (value := self._extracted[part]) is not None:
                facts, rejected = read_extract(value, part)
                self.extracting.tally.rejected += rejected
                # One after the other: a later one may take an earlier one back.
                for fact in facts:
                    self._update(draft, fact, at)
        rejected = self.extracting.tally.rejected[before[0] :]
        rejected += self.updating.tally.rejected[before[1] :]
        for part in parts:
            self._extracted.pop(part, None)
        return Plan(draft.operations, tuple(rejected))

    def _extract(self, parts: Sequence[Window]) -> None:
        """Ask about the windows that have not been asked about yet."""
        # All at once: what a window says does not depend on what is known.
        new = [part for part in dict.fromkeys(parts) if part not in self._extracted]
        asked = [Question(extract_chat(part), extract_schema(part)) for part in new]
        self._extracted.update(zip(new, self.extracting.ask(asked), strict=True))

    def _update(self, draft: Draft, fact: Add, at: str) -> None:
        """Take down what a fact changes."""
        known = draft.similar(fact)
        if same := _same(fact, known):
            draft.keep(same)
            return
        # A model is asked only where there is something to compare with: given nothing, small ones
        # find that the fact is there already.
        value = None
        if known:
            chat = update_chat(Memo(at, fact.text), [k.memo for k in known])
            (value,) = self.updating.ask([Question(chat, update_schema(len(known)))])
        # Without a decision, a fact that stands twice is better than one that is lost.
        if value is None:
            draft.add(fact)
            return
        decisions, rejected = read_update(value, len(known))
        self.updating.tally.rejected += rejected
        for decision in decisions:
            draft.decide(decision, fact, known)

    def answer(self, store: Store, query: Query) -> Answer:
        """A few words, from the memories that fit the question, or from their pictures.

        Raises:
            UserError: the question has a picture, and the model does not see; the file of a
                memory's picture is missing.
        """
        found = store.recall(query.text, k=self._k, at=query.at, who=query.who)
        entries = tuple(entry for entry, _ in found)
        if query.image is not None and not self._looker.sees:
            raise UserError(
                f"{os.fspath(query.image)}: {self._looker.name} does not see; give a model that "
                "does, or ask without a picture"
            )
        if self._looker.sees and (sights := sights_of(store, query, found)):
            speaker, chat = self._looker, look_chat(query.text, sights)
        else:
            speaker, chat = self._answerer, answer_chat(query.text, map(memo_of, entries))
        (reply,) = speaker.reply([chat], Sampling(LONGEST))
        return Answer("" if reply is None else reply.text, entries)


def _same(fact: Add, known: Sequence[Known]) -> Known | None:
    """What says this in the same words."""
    words = plain(fact.text)
    return next((k for k in known if plain(k.memo.text) == words), None)
