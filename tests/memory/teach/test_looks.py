"""What an expert that looks is shown: the key of a question, behind the picture it is about."""

import shutil

import pytest
from seeing import letters_tokenizer, make_seeing

from duomem_jax import stages
from duomem_jax.base.errors import UserError
from duomem_jax.data.sources import Demonstrations
from duomem_jax.memory.operations.look import MOST
from duomem_jax.memory.operations.names import ANSWER, LOOK
from duomem_jax.memory.teach import Teaching
from duomem_jax.records import chat, read_dialogues
from duomem_jax.records.dialogues import SEEN, TOLD
from duomem_jax.records.pictures import PictureFolder
from duomem_jax.stages.examples import Examples


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    out = tmp_path_factory.mktemp("told") / "dialogues"
    stages.dialogues(str(out), count=2, seed=3, pictures=2)
    return out


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_each_question_about_a_picture_is_shown_it_and_answered_by_its_key(told, tmp_path, share):
    how = Teaching(embedder="hashing:64", evidence_share=share)
    stages.demonstrations(str(tmp_path / "look"), str(told), LOOK, how)
    shown = {d.id: d for d in Demonstrations([str(tmp_path / "look")]).block(0, 1)}
    asked = {f"{d.id}/{q.id}": (d, q) for d in read_dialogues(told) for q in d.questions}
    assert set(shown) == {key for key, (_, q) in asked.items() if q.kind in (SEEN, TOLD)}
    counts = set()
    for key, one in shown.items():
        dialogue, question = asked[key]
        user, reply = one.messages
        turns = {turn.id: turn for _, turn in dialogue.turns()}
        pictures = chat.pictures_of(user)
        name = turns[question.evidence[0]].picture
        assert name in [part["sha256"] for part in pictures]
        for part in pictures:
            assert part["path"] == str(PictureFolder(told / "pictures").path(part["sha256"]))
        assert reply["content"] == question.answer
        assert question.text in chat.text_of(user)
        counts.add(len(pictures))
    assert counts == {1} if share else max(counts) in range(2, MOST + 1)


def test_who_reads_learns_no_answer_that_only_a_picture_shows(told, tmp_path):
    how = Teaching(embedder="hashing:64", evidence_share=1.0)
    stages.demonstrations(str(tmp_path / "answer"), str(told), ANSWER, how)
    learnt = {d.id for d in Demonstrations([str(tmp_path / "answer")]).block(0, 1)}
    kinds = {f"{d.id}/{q.id}": q.kind for d in read_dialogues(told) for q in d.questions}
    of_pictures = {key for key, kind in kinds.items() if kind in (SEEN, TOLD)}
    assert {kinds[key] for key in of_pictures & learnt} == {TOLD}
    assert {key for key in of_pictures if kinds[key] == TOLD} <= learnt


def test_rows_are_made_of_them(told, tmp_path):
    how = Teaching(embedder="hashing:64")
    stages.demonstrations(str(tmp_path / "look"), str(told), LOOK, how)
    model = str(make_seeing("smolvlm", tmp_path / "model").folder)
    letters_tokenizer("smolvlm").save_pretrained(model)
    shown = (str(tmp_path / "look"),)
    one = stages.Pictures(tiles="one")
    stages.pictures(str(tmp_path / "seen"), shown, model, how=one)
    report = stages.examples(
        str(tmp_path / "rows"),
        demonstrations=shown,
        tokenizer=model,
        pictures=str(tmp_path / "seen"),
        how=Examples(length=1024, tiles=MOST),
    )
    assert report.records > 0


def test_dialogues_without_pictures_or_without_their_files_are_refused(told, tmp_path):
    stages.dialogues(str(tmp_path / "plain"), count=1)
    with pytest.raises(UserError, match="holds nothing to demonstrate"):
        stages.demonstrations(str(tmp_path / "a"), str(tmp_path / "plain"), LOOK)
    shutil.copytree(told, tmp_path / "lost")
    shutil.rmtree(tmp_path / "lost" / "pictures")
    with pytest.raises(UserError, match="no such picture"):
        stages.demonstrations(str(tmp_path / "b"), str(tmp_path / "lost"), LOOK)
