"""Histories as pictures as one resumable run: a model that sees in, table and picture out.

histories -> demonstrations of each view -> rows -> an expert for each view and seed
the model alone and each expert -> answers about other histories -> report
"""

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

from duomem_jax.base.draw import Draw
from duomem_jax.base.errors import UserError
from duomem_jax.base.lock import writing_alone
from duomem_jax.base.parallel import run_all
from duomem_jax.experiments.training import train_adapter
from duomem_jax.experiments.written.ask import Question, Subject, ask
from duomem_jax.experiments.written.experiment import Written
from duomem_jax.experiments.written.histories import History, history
from duomem_jax.experiments.written.table import written_report
from duomem_jax.experiments.written.views import Shower, View
from duomem_jax.memory.operations.look import PROMPT
from duomem_jax.models.locate import model_path
from duomem_jax.models.vision.eyes import open_eyes
from duomem_jax.records import chat
from duomem_jax.records.demonstrations import (
    DEMONSTRATION_LAYOUT,
    SEEN_LAYOUT,
    Demonstration,
    demonstration_to_record,
)
from duomem_jax.records.store.spec import DEMONSTRATIONS, PICTURES
from duomem_jax.records.store.write import DatasetSpec, write_dataset
from duomem_jax.stages.examples import Examples, examples
from duomem_jax.stages.pictures import Pictures, pictures

log = logging.getLogger(__name__)
KIND = "an experiment with written histories"  # of its output folder
_SEED = 0  # of the histories, whatever the seeds of training


def run_written(w: Written) -> Path:
    """Run whatever is not done yet; return the path of report.md.

    Raises:
        UserError: bad input, a model that does not see, or an output folder of another experiment.
    """
    with writing_alone(w.output, KIND):
        return _run(w)


def _run(w: Written) -> Path:
    folder = model_path(w.model)
    eyes = open_eyes(folder, w.local.tiles)
    if eyes is None:
        raise UserError(f"{w.model}: does not see; give a model that does")
    learnt, asked = (_histories(w, held_out=held_out) for held_out in (False, True))
    show = Shower(folder, eyes, w.files, learnt[0])
    shown = {view: _demonstrate(w, view, learnt, show) for view in View}
    looked = tuple(shown[view] for view in View if view.looks)
    log.info(pictures(w.seen, looked, w.model, Pictures(w.local.tiles)))
    for view in View:
        _pack(w, view, shown[view])
    subjects = [Subject(view, "", 0) for view in View]
    trainings = [(view, w.training(view, seed)) for seed in w.seeds for view in View]
    adapters = run_all(train_adapter, [(config,) for _, config in trainings], w.workers)
    subjects += [
        Subject(view, adapter, config.seed)
        for (view, config), adapter in zip(trainings, adapters, strict=True)
    ]
    questions = {view: _questions(view, asked, show) for view in View}
    run_all(ask, [(w, subject, questions[subject.view]) for subject in subjects], w.workers)
    return written_report(w, show.budget)


def _histories(w: Written, *, held_out: bool) -> list[History]:
    count = w.asked if held_out else w.learnt
    return [
        history(_SEED, i, lines, w.files, held_out=held_out)
        for lines in w.lines
        for i in range(count)
    ]


def _questions(view: View, asked: Sequence[History], show: Shower) -> list[Question]:
    return [Question(one, line, show.chat(view, one, line)) for one in asked for line in one.lines]


def _demonstrate(w: Written, view: View, learnt: Sequence[History], show: Shower) -> str:
    """Write what the expert of a view learns from, of each history one line; its folder."""
    out = str(Path(w.output) / "demonstrations" / view.short)
    known = {one.id: one for one in learnt}

    def make(keys: list[str]) -> Iterator[tuple[str, list[dict], dict[str, int]]]:
        for key in keys:
            # Of those that are shown: what is not there cannot be learnt.
            line = Draw(f"asked {key}").pick(show.lines(view, known[key]))
            messages = show.chat(view, known[key], line, stored=True)
            messages.append(chat.assistant(view.key(known[key], line)))
            demonstration = Demonstration(key, view.short, key, messages)
            yield key, [demonstration_to_record(demonstration, seen=view.looks)], {}

    spec = DatasetSpec(
        DEMONSTRATIONS,
        SEEN_LAYOUT if view.looks else DEMONSTRATION_LAYOUT,
        source={"histories": [one.picture for one in learnt]},
        config={"view": view, "prompt": PROMPT.sha256, "tokens": show.budget},
        # What paths of pictures are relative to.
        notes={PICTURES: str(w.files.folder.resolve())} if view.looks else {},
    )
    log.info(write_dataset(out, list(known), make, spec))
    return out


def _pack(w: Written, view: View, shown: str) -> None:
    config = w.training(view, seed=0)
    how = Examples(length=w.length)
    log.info(
        examples(config.data, w.model, demonstrations=(shown,), pictures=config.pictures, how=how)
    )
