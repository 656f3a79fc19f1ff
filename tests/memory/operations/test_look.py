"""A model that sees answers from the pictures of the memories that fit a question."""

import io
import sys

import pytest
from PIL import Image
from seeing import letters_tokenizer, made_up, make_seeing

from duomem_jax import cli
from duomem_jax.base.errors import UserError
from duomem_jax.memory.operations.answer import LONGEST, Memo, answer_chat, memo_of
from duomem_jax.memory.operations.keeper import ModelKeeper
from duomem_jax.memory.operations.look import ASKED, MOST, Sight, look_chat, sights_of
from duomem_jax.memory.operations.models import Models
from duomem_jax.memory.operations.talk import Talker
from duomem_jax.memory.store.keeper import Query
from duomem_jax.memory.store.store import Store
from duomem_jax.records import chat
from duomem_jax.records.dialogues import Turn
from duomem_jax.speak.open import Local
from duomem_jax.speak.protocol import Sampling
from duomem_jax.speak.served.server import Server

HOW = Sampling(LONGEST)
CAR, JOB = "Which colour has the car of Ann?", "Where does Bob work?"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny random model that sees."""
    model = make_seeing("smolvlm", tmp_path_factory.mktemp("model")).folder
    letters_tokenizer("smolvlm").save_pretrained(model)
    return model


@pytest.fixture(scope="module")
def experts(folder, tmp_path_factory):
    held = Models(str(folder), local=Local(max_len=1024, tiles="one"))
    with held.open(Server(), tmp_path_factory.mktemp("served")) as experts:
        yield experts


@pytest.fixture
def store(tmp_path):
    """Two memories of Ann's and Bob's, one with a picture."""
    made_up((20, 20)).save(tmp_path / "car.png")
    with Store.open(tmp_path / "store.sqlite") as store:
        turns = [Turn("1", "Ann", "My car, what a colour!"), Turn("2", "Bob", "I work in Oslo.")]
        for turn in turns:
            shared = {"1": tmp_path / "car.png"} if turn.id == "1" else {}
            store.remember([turn], at="2024-05-01T12:00:00Z", pictures=shared)
        yield store


def sights(store, query, image=None):
    return sights_of(store, Query(query, image=image), store.recall(query))


def test_pictures_stand_behind_their_memories_in_the_order_of_time():
    later, sooner = (
        Sight(chat.picture(f"{day}.png"), Memo(f"2024-05-0{day}T00:00:00Z", f"day {day}"))
        for day in (2, 1)
    )
    (message,) = look_chat("Which <tag>?", [Sight(chat.picture("mine.png")), later, sooner])
    assert [part["path"] for part in chat.pictures_of(message)] == ["1.png", "2.png", "mine.png"]
    lines = chat.text_of(message).splitlines()
    assert "Wednesday, 1 May 2024] day 1" in lines[0]
    assert ASKED in lines
    assert "Question: Which \u2039tag\u203a?" in lines


def test_who_sees_looks_where_the_best_memory_has_a_picture(store, experts):
    store.keeper = ModelKeeper(experts)
    car, _ = store.entries()
    (shown,) = sights(store, CAR)
    assert shown.picture["path"] == str(store.pictures.path(car.pictures[0].sha256))
    assert shown.memo == memo_of(car)
    answered = store.answer(CAR)
    (looked,) = experts.look.reply([look_chat(CAR, [shown])], HOW)
    found = [entry for entry, _ in store.recall(CAR, k=10)]
    (told,) = experts.answer.reply([answer_chat(CAR, map(memo_of, found))], HOW)
    assert answered.text == looked.text != told.text
    assert answered.shown == tuple(found)


def test_what_words_answer_is_answered_as_ever(store, experts):
    store.keeper = ModelKeeper(experts)
    assert sights(store, JOB) == []
    found = [entry for entry, _ in store.recall(JOB, k=10)]
    (told,) = experts.answer.reply([answer_chat(JOB, map(memo_of, found))], HOW)
    assert store.answer(JOB).text == told.text


def test_a_question_brings_its_own_picture(store, experts, tmp_path):
    store.keeper = ModelKeeper(experts)
    made_up((30, 20)).save(tmp_path / "asked.png")
    image = tmp_path / "asked.png"
    (looked,) = experts.look.reply([look_chat(JOB, [Sight(chat.picture(str(image)))])], HOW)
    assert store.answer(JOB, image=image).text == looked.text
    assert [s.memo is None for s in sights(store, CAR, image)] == [True, False]
    image.write_text("no picture")
    with pytest.raises(UserError, match=r"asked\.png: is no picture"):
        store.answer(JOB, image=image)


def test_few_pictures_are_shown_at_once(store, tmp_path):
    for i in range(MOST + 2):
        Image.new("RGB", (8, 8), (i, 0, 0)).save(tmp_path / f"{i}.png")
        turn = Turn(str(i), "Ann", "What a colour the car has!")
        store.remember([turn], pictures={turn.id: tmp_path / f"{i}.png"})
    assert len({s.picture["sha256"] for s in sights(store, CAR)}) == MOST


def test_a_store_without_its_folder_still_answers_from_words(store, experts):
    store.keeper = ModelKeeper(experts)
    before = store.answer(JOB)
    store.pictures.retain(())
    assert store.answer(JOB) == before
    with pytest.raises(UserError, match=r"store\.sqlite\.pictures.*: no such picture; copy it"):
        store.answer(CAR)


def test_who_does_not_see_answers_from_words_and_refuses_pictures(store, tmp_path):
    with Models("tiny-student").open(Server(), tmp_path / "served") as experts:
        store.keeper = ModelKeeper(experts)
        found = [entry for entry, _ in store.recall(CAR, k=10)]
        (told,) = experts.answer.reply([answer_chat(CAR, map(memo_of, found))], HOW)
        assert store.answer(CAR).text == told.text
        with pytest.raises(UserError, match=r"car\.png: .*tiny-student.* does not see"):
            store.answer(CAR, image=tmp_path / "car.png")


def test_an_expert_that_looks_needs_a_model_that_sees(tmp_path):
    models = Models("tiny-student", look=str(tmp_path))
    with (
        pytest.raises(UserError, match=r"^look: tiny-student does not see"),
        models.open(Server(), tmp_path / "served"),
    ):
        pass


def test_a_talk_shows_a_picture_to_who_sees(store, experts, tmp_path):
    talker = Talker(store, experts.base, "", k=1)
    shown = talker.reply("Hello.", str(tmp_path / "car.png"))
    assert shown != Talker(store, experts.base, "", k=1).reply("Hello.")
    assert talker.reply("And now?") is not None


class Overheard:
    """A speaker whose prompts are kept."""

    def __init__(self, speaker):
        self._speaker, self.sees, self.asked = speaker, speaker.sees, []

    def reply(self, chats, sampling):
        self.asked += chats
        return self._speaker.reply(chats, sampling)


def test_a_talk_looks_at_what_it_remembers_and_once(store, experts, tmp_path):
    overheard = Overheard(experts.base)
    talker, (car, _) = Talker(store, overheard, "", k=2), store.entries()
    asked = [talker.reply(text) for text in (JOB, CAR, CAR)]
    assert asked[1] != asked[0]
    seen = [[p for m in asked for p in chat.pictures_of(m)] for asked in overheard.asked]
    mine = store.pictures.path(car.pictures[0].sha256)
    assert [[p["path"] for p in pictures] for pictures in seen] == [[], [str(mine)], [str(mine)]]
    before, _, after = overheard.asked[1][-1]["content"]
    assert "My car, what a colour!" in before["text"]
    assert after["text"].strip() == CAR
    # What was just shared is known by its content, wherever its file is.
    again = Talker(store, overheard, "", k=2)
    again.reply("Look!", str(tmp_path / "car.png"))
    again.reply(CAR)
    shown = [p["path"] for m in overheard.asked[-1] for p in chat.pictures_of(m)]
    assert shown == [str(tmp_path / "car.png")]


def test_a_talk_with_who_does_not_see_is_of_words(store, tmp_path):
    with Models("tiny-student").open(Server(), tmp_path / "served") as blind:
        overheard = Overheard(blind.base)
        Talker(store, overheard, "", k=2).reply(CAR, str(tmp_path / "car.png"))
    (messages,) = overheard.asked
    assert messages[-1] == chat.user(CAR)


def test_commands_take_pictures(folder, tmp_path, capsys, monkeypatch):
    made_up((20, 20)).save(tmp_path / "car.png")
    store, image = str(tmp_path / "s.sqlite"), str(tmp_path / "car.png")
    cli.main(["memory", "plan", store, "My car!", "--image", image])
    assert not (tmp_path / "s.sqlite.pictures").exists()
    cli.main(["memory", "add", store, "My car!", "--image", image])
    assert "My car! [shares a picture]" in capsys.readouterr().out
    asked = ["memory", "answer", store, "Which car?", "--model", str(folder), "--tiles", "one"]
    cli.main([*asked, "--max-len", "1024", "--image", image])
    assert "My car!" in capsys.readouterr().out
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"/picture no.png\n/picture {image}\n/quit\n"))
    cli.main(["chat", store, "--model", "tiny-student"])
    said = capsys.readouterr().out
    assert "no.png: cannot be read" in said
    assert f"{image} goes with what you say next; this model does not see it" in said
