"""The tiny model that sees: its folder, its lessons, and that it learns."""

import shutil
from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import optax
import pytest

from duomem_jax.base.errors import UserError
from duomem_jax.models.hf import copy_tokenizer, save_pretrained
from duomem_jax.models.load import load_pretrained
from duomem_jax.models.model import Model
from duomem_jax.models.shipped import model_folder
from duomem_jax.models.vision.eyes import Eyes
from duomem_jax.models.vision.load import load_vision
from duomem_jax.models.vision.model import VisionModel
from duomem_jax.records import chat
from duomem_jax.text.tokenizer import chat_tokens, load_tokenizer
from duomem_jax.tiny.listener.lessons import lessons
from duomem_jax.tiny.seer import start
from duomem_jax.tiny.seer.lessons import READ, Desk, lesson
from duomem_jax.tiny.seer.score import score
from duomem_jax.tiny.seer.train import Pupil, Shown, learn, replies_loss
from duomem_jax.tiny.seer.words import Words
from duomem_jax.train.config import OptimizerConfig, TrainConfig
from duomem_jax.train.state.step import Frozen
from duomem_jax.worlds.pictures import render

LISTENER = model_folder("tiny-listener")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An untrained one, of two layers."""
    made = tmp_path_factory.mktemp("seer") / "start"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(start, "TOWER", replace(start.TOWER, n_layers=2))
        start.write_start(made, LISTENER)
    return made


@pytest.fixture(scope="module")
def desk(folder):
    return Desk(Eyes(folder), load_tokenizer(folder), 96)


def test_transformers_sees_the_same(folder, desk):
    torch = pytest.importorskip("torch")
    from transformers import AutoModelForImageTextToText

    theirs = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    rows, tiles_Bhwc = desk.batch([lesson(0, 3)])
    count = int(rows.student.segments_BT.sum())
    ids = torch.tensor(rows.student.ids_BT[:, :count]).long()
    pixels = torch.tensor(tiles_Bhwc.transpose(0, 3, 1, 2))[None]
    with torch.no_grad():
        wanted_TV = theirs(
            input_ids=ids, attention_mask=torch.ones_like(ids), pixel_values=pixels
        ).logits[0]
    np.testing.assert_allclose(ours(folder, rows, tiles_Bhwc)[:count], wanted_TV, atol=1e-3)


def ours(folder, rows, tiles_Bhwc):
    """logits_TV of the first row."""
    from duomem_jax.models.vision.merge import PictureFeatures

    (config, words), (vision, eyes) = load_pretrained(folder), load_vision(folder)
    features_BTD = VisionModel(vision).features(eyes, jnp.asarray(tiles_Bhwc))
    model, tokens = Model(config), rows.student
    x_BTD = model.hidden(
        words,
        tokens.ids_BT,
        tokens.positions_BT,
        tokens.segments_BT,
        pictures=PictureFeatures(features_BTD, jnp.asarray(rows.seen.index_BT)),
    )
    return np.asarray(model.head(words)(x_BTD))[0]


def test_words_are_what_they_are_to_the_decoder(folder):
    question = [chat.system("Be brief."), chat.user("Who is it?")]
    before, after = load_tokenizer(LISTENER), load_tokenizer(folder)
    assert chat_tokens(after).since(question) == chat_tokens(before).since(question)
    np.testing.assert_array_equal(
        load_pretrained(folder)[1]["embedding"],
        load_pretrained(LISTENER, "float32")[1]["embedding"],
    )


def test_a_full_vocabulary_gets_rows_for_pictures(tmp_path):
    config, params = load_pretrained(LISTENER, "float32")
    size = len(load_tokenizer(LISTENER))
    full = dict(params) | {"embedding": params["embedding"][:size]}
    (tmp_path / "full").mkdir()
    save_pretrained(tmp_path / "full", replace(config, vocab_size=size), full)
    copy_tokenizer(LISTENER, tmp_path / "full")
    start.write_start(tmp_path / "start", tmp_path / "full")
    grown, words = load_pretrained(tmp_path / "start")
    assert grown.vocab_size == size + 3 == len(load_tokenizer(tmp_path / "start"))
    np.testing.assert_array_equal(words["embedding"][:size], full["embedding"])
    np.testing.assert_allclose(words["embedding"][size:].std(0), 0, atol=1e-7)


def test_another_decoder_gets_a_tower_that_has_learnt(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(start, "TOWER", replace(start.TOWER, n_layers=2))
    start.write_start(tmp_path / "start", model_folder("tiny-student"), seed=1, tower=folder)
    ours, theirs = (load_vision(f)[1] for f in (tmp_path / "start", folder))
    np.testing.assert_array_equal(ours["tower"]["positions"], theirs["tower"]["positions"])
    mine, its = (eyes["projector"]["proj"]["kernel"] for eyes in (ours, theirs))
    assert not np.array_equal(mine, its)
    monkeypatch.setattr(start, "TOWER", replace(start.TOWER, n_layers=3))
    with pytest.raises(UserError, match="its tower has another shape"):
        start.write_start(tmp_path / "other", model_folder("tiny-student"), tower=folder)


def test_rows_show_a_picture_and_learn_the_answers(desk):
    shown = [lesson(5, i) for i in range(4)]
    rows, tiles_Bhwc = desk.batch(shown)
    assert tiles_Bhwc.shape == (4, 128, 128, 3)
    assert rows.seen.index_BT.max(1).tolist() == [15] * 4
    tokenizer = load_tokenizer(LISTENER)
    for own, ids_T, learnt_T in zip(shown, rows.student.ids_BT, rows.student.reply_BT, strict=True):
        answers = [m["content"] for m in own.messages if m["role"] == "assistant"]
        written = tokenizer.decode(ids_T[learnt_T]).split(tokenizer.eos_token)
        # A long lesson loses its last questions.
        assert [a.strip() for a in written[:-1]] == answers[: len(written) - 1]
        assert len(written) > 1


def test_notes_are_read_aloud_or_asked_about():
    taught = [lesson(5, i) for i in range(60)]
    read = [x for x in taught if x.messages[1]["content"][1]["text"] == READ]
    for own in read:
        assert own.messages[2:] == [chat.assistant(own.picture.written)]
        for asked in own.picture.asked:
            assert "beside" not in asked.text or asked.answer in own.picture.written
    kinds = {own.picture.kind for own in read}
    notes = sum(own.picture.kind == "note" for own in taught)
    assert kinds == {"note", "sign"}
    assert 20 < notes < 45
    assert 5 < len(read) < notes


def test_a_decoder_that_learns_reads_lessons_without_pictures_too(folder, desk):
    (config, words), (vision, eyes) = load_pretrained(folder), load_vision(folder)
    pupil = Pupil(Model(config), VisionModel(vision), optax.sgd(0.1))
    rows, tiles_Bhwc = desk.batch([lesson(5, i) for i in range(2)])
    told = Words(load_tokenizer(folder)).batch(7)
    tokenizer, student = load_tokenizer(folder), told.student
    written = tokenizer.decode(student.ids_BT[0][student.reply_BT[0] > 0])
    replies = [m["content"] for x in lessons(7) for m in x if m["role"] == "assistant"]
    assert sum(reply in written for reply in replies) > 3

    params, nothing = {"eyes": eyes, "words": words}, Frozen(None)
    seen, both = (pupil.loss(params, nothing, Shown(rows, tiles_Bhwc, w)) for w in (None, told))
    alone = replies_loss(Model(config), words, told)
    np.testing.assert_allclose(both.total, seen.total + alone.total, rtol=1e-6)
    assert both.weight == seen.weight + np.count_nonzero(student.reply_BT)
    # Untrained eyes change no words: the listener is as sure of them as before.
    assert alone.mean < 0.5 < seen.mean


def test_held_out_pictures_are_others():
    ours, others = (lesson(5, 0, held_out=held) for held in (False, True))
    assert np.asarray(ours.picture.image).tolist() != np.asarray(others.picture.image).tolist()
    assert lesson(5, 0).messages == ours.messages


@pytest.mark.slow
def test_a_stopped_run_goes_on_to_the_same_model(folder, tmp_path):
    config = TrainConfig(
        base=str(folder),
        data="",
        output=str(tmp_path / "run"),
        trainable="all",
        optimizer=OptimizerConfig("muon", 3e-3, warmup_steps=1),
        steps=4,
        global_batch=4,
        checkpoint_every=2,
    )
    whole = (learn(config) / "model.safetensors").read_bytes()
    # As if it had been killed after its third step.
    shutil.rmtree(tmp_path / "run/checkpoints/4")
    shutil.rmtree(tmp_path / "run/model")
    assert (learn(config) / "model.safetensors").read_bytes() == whole
    before, after = (load_vision(f)[1]["projector"] for f in (folder, tmp_path / "run/model"))
    assert not np.array_equal(before["proj"]["kernel"], after["proj"]["kernel"])


def test_who_has_learnt_nothing_knows_no_answer(folder):
    _, _, *rows = score(str(folder), 6).splitlines()
    assert [row.split()[1] for row in rows][-1] == "all"
    asked = sum(len(render(0, i, held_out=True).asked) for i in range(6))
    assert rows[-1].split("|")[2].strip() == str(asked)
    assert rows[-1].split("|")[3].split()[0] == "0.0"
