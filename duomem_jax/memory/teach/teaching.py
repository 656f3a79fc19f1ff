"""One operation at a time: what an expert of it is shown of a dialogue."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from duomem_jax.base.errors import UserError
from duomem_jax.base.ranges import Count, Seed, Share, options
from duomem_jax.base.sample import drawn
from duomem_jax.memory.embed import DEFAULT_EMBEDDER, make_embedder
from duomem_jax.memory.operations.answer import answer_reply
from duomem_jax.memory.operations.extract import Noted, extract_reply
from duomem_jax.memory.operations.keeper import Experts
from duomem_jax.memory.operations.models import Models
from duomem_jax.memory.operations.names import ANSWER, EXTRACT, LOOK, PROMPTS, UPDATE, Name
from duomem_jax.memory.operations.update import Decision, update_reply
from duomem_jax.memory.teach.answers import Pages, answers
from duomem_jax.memory.teach.extractions import extractions
from duomem_jax.memory.teach.looks import looks
from duomem_jax.memory.teach.shown import Shown
from duomem_jax.memory.teach.spoken import spoken_extractions, spoken_updates
from duomem_jax.memory.teach.updates import updates
from duomem_jax.records.chat import text_of
from duomem_jax.records.demonstrations import Demonstration
from duomem_jax.records.dialogues import Dialogue
from duomem_jax.speak.served.server import Server

# A reply of each operation: demonstrations of another form are other ones.
_REPLIES: dict[Name, str] = {
    EXTRACT: extract_reply([Noted(0, "A fact.")]),
    UPDATE: update_reply([Decision("add"), Decision("update", 0, "A fact.")]),
    ANSWER: answer_reply(""),
    LOOK: answer_reply("a word"),
}
_ADDS = update_reply([Decision("add")])


@options
class Teaching:
    """What stands before the new facts and the questions that experts are shown."""

    embedder: str = DEFAULT_EMBEDDER  # finds memories that are like a fact or a question
    words: Count = 200  # shown with a question, at most
    # Of the questions, those that are shown the turns which the answer is in and nothing else; the
    # others are shown what is found, half of them turns and half of them facts, the answer's among
    # them. So are questions about pictures shown theirs alone, or others that are found with it.
    evidence_share: Share = 0.5
    # Of the adversarial questions, those that are shown. An expert that saw all of LoCoMo's, which
    # are a quarter of its questions, declined 82 of 152 that it could have answered.
    unanswerable: Share = 0.2
    # Of the new facts that change nothing, those that are shown: they are most of all, and a model
    # that adds everything is right more often than not.
    added: Share = 1.0
    seed: Seed = 0  # of which question, and which fact, is shown what


class Demonstrator:
    """Shows an operation: by rules, or as models do it.

    Attributes:
        config: what the demonstrations depend on; JSON.
    """

    def __init__(self, operation: Name, how: Teaching, models: Models = Models()):
        """Get ready; an embedder is made where one is needed.

        Args:
            operation: what is shown.
            how: what stands before new facts and questions.
            models: who shows it; without a model, what is known of the dialogues does.

        Raises:
            UserError: the embedder lacks a model, a package or a key; models are to answer; a
                folder of theirs is missing or damaged.
        """
        if models.answer or models.look or (models.model and operation in (ANSWER, LOOK)):
            raise UserError("teacher: answers are the keys of the questions, no model's; omit it")
        self._operation, self._how, self._models = operation, how, models
        self._pages = Pages(how.words, how.evidence_share, how.unanswerable, how.seed)
        self.config: dict[str, Any] = {
            "operation": operation,
            "prompt": PROMPTS[operation].sha256,
            "reply": _REPLIES[operation],
        }
        if models.model:
            asked = (EXTRACT,) if operation == EXTRACT else (EXTRACT, UPDATE)
            self.config["teacher"] = models.identity(asked)
        if operation == EXTRACT:
            return
        # Once for all dialogues: it may have to load a model.
        self._embedder = make_embedder(how.embedder)
        self.config["embedder"] = self._embedder.name
        if operation == UPDATE:
            self.config |= {"added": how.added, "seed": how.seed}
            if not models.model:
                # `updates` also shows facts without the memories that they change.
                self.config["missed"] = True
        elif operation == LOOK:
            self.config |= {"evidence_share": how.evidence_share, "seed": how.seed}
        else:
            self.config |= dataclasses.asdict(self._pages)

    def __call__(
        self, dialogues: Sequence[Dialogue], record: Path, server: Server = Server()
    ) -> Iterator[Shown]:
        """Every chat that an expert of the operation is shown of each dialogue.

        Args:
            dialogues: which.
            record: where the answers of a served model and their cost are kept.
            server: where and how hard it is asked.

        Raises:
            UserError: a model cannot be opened or asked.
        """
        if not self._models.model:
            yield from map(self._thinned, map(self._by_rules, dialogues))
            return
        with self._models.open(server, record) as experts:
            spoken = experts.base.map(lambda d: self._spoken(d, experts), dialogues)
            yield from map(self._thinned, spoken)

    def _by_rules(self, dialogue: Dialogue) -> Shown:
        if self._operation == EXTRACT:
            return Shown(list(extractions(dialogue)), {})
        if self._operation == UPDATE:
            return Shown(list(updates(dialogue, self._embedder)), {})
        if self._operation == LOOK:
            share, seed = self._how.evidence_share, self._how.seed
            return Shown(list(looks(dialogue, self._embedder, share, seed)), {})
        return Shown(list(answers(dialogue, self._embedder, self._pages)), {})

    def _spoken(self, dialogue: Dialogue, experts: Experts) -> Shown:
        if self._operation == EXTRACT:
            return spoken_extractions(dialogue, experts)
        return spoken_updates(dialogue, experts, self._embedder)

    def _thinned(self, shown: Shown) -> Shown:
        """With fewer of the facts that are merely added, whoever the teacher is."""
        kept = [d for d in shown.demonstrations if not self._adds(d) or self._drawn(d)]
        return shown._replace(demonstrations=kept)

    def _adds(self, demonstration: Demonstration) -> bool:
        return text_of(demonstration.messages[-1]) == _ADDS

    def _drawn(self, demonstration: Demonstration) -> bool:
        return drawn(self._how.seed, f"{demonstration.id}/added", self._how.added)
