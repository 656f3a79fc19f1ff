"""Histories as pictures: what each view shows, and the whole of it on a handful of histories."""

import dataclasses
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from duomem_jax.base.errors import UserError
from duomem_jax.experiments.compare import load_experiment
from duomem_jax.experiments.written.histories import history
from duomem_jax.experiments.written.run import run_written
from duomem_jax.experiments.written.views import Shower, View
from duomem_jax.mesh.config import MeshConfig
from duomem_jax.models.shipped import model_folder
from duomem_jax.models.vision.eyes import Eyes
from duomem_jax.records.chat import pictures_of, text_of
from duomem_jax.records.pictures import PictureFolder
from duomem_jax.records.results import collect_results
from duomem_jax.text.tokenizer import chat_tokens, load_tokenizer
from duomem_jax.tiny.seer.start import write_start

CONFIG = Path(__file__).parents[2] / "configs" / "written.py"


@pytest.fixture(scope="module")
def seer(tmp_path_factory):
    """A model that sees, before training."""
    folder = tmp_path_factory.mktemp("seer") / "model"
    write_start(folder, model_folder("tiny-listener"))
    return str(folder)


@pytest.fixture
def shown(seer, tmp_path):
    """A history of nine lines, and who shows it."""
    files = PictureFolder(tmp_path)
    nine = history(0, 0, 9, files, held_out=True)
    return nine, Shower(seer, Eyes(seer), files, nine)


def test_histories_are_what_their_seed_says(tmp_path):
    files = PictureFolder(tmp_path)
    first, other, unseen = (
        history(0, 0, 3, files, held_out=False),
        history(0, 1, 3, files, held_out=False),
        history(0, 0, 3, files, held_out=True),
    )
    assert len({first.lines, other.lines, unseen.lines}) == 3
    assert history(0, 0, 3, files, held_out=False) == first
    assert len({line.name for line in first.lines}) == 3
    assert Image.open(files.path(first.picture)).size == (128, 128)


def test_views_show_one_picture_or_as_many_tokens_of_the_latest_lines(shown, seer):
    nine, show = shown
    tokens = chat_tokens(load_tokenizer(seer))
    last = nine.lines[-1]

    def read(view):
        return text_of(show.chat(view, nine, last)[0])

    assert all(line.text in read(View.WHOLE) for line in nine.lines)
    kept = [line for line in nine.lines if line.text in read(View.CUT)]
    assert kept == list(nine.lines[-len(kept) :])
    assert 0 < len(kept) < len(nine.lines)
    lengths = {
        view: len(tokens.since(show.chat(view, nine, last), sight=Eyes(seer)))
        for view in (View.CUT, View.DRAWN, View.WHOLE)
    }
    # Pieces of a chat are spelled apart; a line more would not have fitted.
    assert lengths[View.CUT] <= lengths[View.DRAWN] + 1 < lengths[View.WHOLE]
    for view in View:
        assert len(pictures_of(show.chat(view, nine, last)[0])) == view.looks
    assert View.LOCATED.key(nine, last) == "nine"
    assert View.DRAWN.key(nine, last) == last.word


@pytest.mark.slow
def test_all_views_are_learnt_and_asked_and_a_second_run_asks_nothing(seer, tmp_path, caplog):
    whole = load_experiment(CONFIG)
    train = dataclasses.replace(
        whole.train, steps=1, global_batch=1, checkpoint_every=1, mesh=MeshConfig(data=1)
    )
    w = dataclasses.replace(
        whole,
        output=str(tmp_path / "out"),
        model=seer,
        lines=(2,),
        learnt=2,
        asked=1,
        seeds=(0,),
        train=train,
    )
    text = run_written(w).read_text()
    rows = collect_results([tmp_path / "out/results"])
    asked = Counter(row.subject for row in rows)
    assert asked == {f"{view}{end}": 2 for view in View for end in ("", ", expert")}
    assert "2 lines:" in text
    caplog.clear()
    with caplog.at_level("INFO"):
        assert run_written(w).read_text() == text
    assert not [message for message in caplog.messages if "loading" in message]


def test_lines_that_no_picture_holds_are_refused():
    for wrong in ((), (3, 2), (3, 10)):
        with pytest.raises(UserError, match="give numbers that increase, up to 9"):
            dataclasses.replace(load_experiment(CONFIG), lines=wrong)


def test_a_model_that_does_not_see_is_refused(tmp_path):
    w = dataclasses.replace(
        load_experiment(CONFIG), output=str(tmp_path / "out"), model="tiny-listener"
    )
    with pytest.raises(UserError, match="tiny-listener: does not see; give a model that does"):
        run_written(w)
