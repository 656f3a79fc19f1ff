"""Ask a model, alone or with the expert of a view, about histories."""

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from duomem_jax.base.io import slug
from duomem_jax.evals.replied import ended, usage_of
from duomem_jax.experiments.written.experiment import Written
from duomem_jax.experiments.written.histories import History
from duomem_jax.experiments.written.views import View
from duomem_jax.memory.operations.look import PROMPT
from duomem_jax.records.chat import Chat
from duomem_jax.records.results import PROTOCOL, Result, ResultLog
from duomem_jax.speak.open import load_speaker, speaker_identity
from duomem_jax.speak.protocol import Reply, Sampling
from duomem_jax.worlds.pictures.note import Line

RIGHT = "right"  # the score
MAX_NEW = 12  # tokens of a reply


class Subject(NamedTuple):
    """Who is asked.

    Attributes:
        view: how histories are shown.
        adapter: folder of the view's expert; "": the model alone.
        seed: of its training.
    """

    view: View
    adapter: str
    seed: int

    @property
    def name(self) -> str:
        """Row of the table."""
        return named(self.view, expert=bool(self.adapter))


def named(view: View, *, expert: bool) -> str:
    """Row of the table."""
    return f"{view}, expert" if expert else str(view)


class Question(NamedTuple):
    """What is asked about a line of a history.

    Attributes:
        history: the history.
        line: one of its lines.
        chat: with which it is asked.
    """

    history: History
    line: Line
    chat: Chat

    @property
    def item(self) -> str:
        """Its name, the same in every view."""
        return f"{self.history.id} {self.line.name}"


def ask(w: Written, subject: Subject, questions: Sequence[Question]) -> None:
    """Ask what was not asked yet, and keep the results.

    Args:
        w: the experiment.
        subject: who is asked.
        questions: in the subject's view.

    Raises:
        UserError: a folder is missing or damaged, or results of another configuration.
    """
    local = dataclasses.replace(w.local, adapter=subject.adapter)
    config = {
        "speaker": speaker_identity(w.model, local),
        "view": subject.view,
        "seed": subject.seed,
        "prompt": PROMPT.sha256,
        PROTOCOL: {"histories": list(dict.fromkeys(q.history.picture for q in questions))},
    }
    path = results(w) / f"{slug(subject.name)}.seed{subject.seed}.sqlite"
    path.parent.mkdir(parents=True, exist_ok=True)
    with ResultLog(path, config) as log:
        todo = [q for q in questions if (subject.name, q.item, subject.seed) not in log.done]
        if not todo:
            return
        speaker = load_speaker(w.model, local)
        start = time.monotonic()
        replies = list(speaker.reply((q.chat for q in todo), Sampling(MAX_NEW)))
        seconds = (time.monotonic() - start) / len(todo)
        log.append(*(_result(subject, q, r, seconds) for q, r in zip(todo, replies, strict=True)))


def results(w: Written) -> Path:
    """Folder of all results."""
    return Path(w.output) / "results"


def _result(subject: Subject, question: Question, reply: Reply | None, seconds: float) -> Result:
    history, line = question.history, question.line
    said = reply.text.strip() if reply else ""
    return Result(
        subject=subject.name,
        item=question.item,
        group=history.id,
        kind=str(len(history.lines)),
        seed=subject.seed,
        scores={RIGHT: float(said == subject.view.key(history, line))},
        cost=usage_of(reply, seconds),
        ended=ended(reply),
    )
