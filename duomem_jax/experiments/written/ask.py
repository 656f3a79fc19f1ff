"""Ask a model, alone or with the expert of a view, about histories."""

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from duomem_jax.base.io import slug
from duomem_jax.experiments.written.experiment import Written
from duomem_jax.experiments.written.histories import History
from duomem_jax.experiments.written.views import View
from duomem_jax.memory.operations.look import PROMPT
from duomem_jax.records.chat import Chat
from duomem_jax.records.results import PROTOCOL, Result, ResultLog, Usage
from duomem_jax.speak.open import load_speaker, speaker_identity
from duomem_jax.speak.protocol import Reply, Sampling
from duomem_jax.worlds.pictures.note import Line

RIGHT = "right"  # the score
MAX_NEW = 12  # tokens of a reply


class Asker(NamedTuple):
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


def ask(w: Written, asker: Asker, questions: Sequence[Question]) -> None:
    """Ask what was not asked yet, and keep the results.

    Args:
        w: the experiment.
        asker: who is asked.
        questions: in the asker's view.

    Raises:
        UserError: a folder is missing or damaged, or results of another configuration.
    """
    local = dataclasses.replace(w.local, adapter=asker.adapter)
    config = {
        "speaker": speaker_identity(w.model, local),
        "view": asker.view,
        "seed": asker.seed,
        "prompt": PROMPT.sha256,
        PROTOCOL: {"histories": list(dict.fromkeys(q.history.picture for q in questions))},
    }
    path = results(w) / f"{slug(asker.name)}.seed{asker.seed}.sqlite"
    path.parent.mkdir(parents=True, exist_ok=True)
    with ResultLog(path, config) as log:
        todo = [q for q in questions if (asker.name, q.item, asker.seed) not in log.done]
        if not todo:
            return
        speaker = load_speaker(w.model, local)
        start = time.monotonic()
        replies = list(speaker.reply((q.chat for q in todo), Sampling(MAX_NEW)))
        seconds = (time.monotonic() - start) / len(todo)
        log.append(*(_result(asker, q, r, seconds) for q, r in zip(todo, replies, strict=True)))


def results(w: Written) -> Path:
    """Folder of all results."""
    return Path(w.output) / "results"


def _result(asker: Asker, question: Question, reply: Reply | None, seconds: float) -> Result:
    history, line = question.history, question.line
    said = reply.text.strip() if reply else ""
    return Result(
        subject=asker.name,
        item=question.item,
        group=history.id,
        kind=str(len(history.lines)),
        seed=asker.seed,
        scores={RIGHT: float(said == asker.view.key(history, line))},
        cost=Usage(
            prompt_tokens=reply.prompt_tokens if reply else 0,
            new_tokens=reply.new_tokens if reply else 0,
            seconds=seconds,
        ),
        ended="context" if reply is None else "cut" if reply.cut else "end",
    )
