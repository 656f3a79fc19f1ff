"""Memories kept by a model behind a server: by one that makes no mistake, and by ones that do."""

import json
import os
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from faulty_server import completion, serving
from teaching_server import Teacher

from duomem_jax.memory.embed import make_embedder
from duomem_jax.memory.operations.extract import windows
from duomem_jax.memory.operations.keeper import Experts, ModelKeeper
from duomem_jax.memory.operations.records import Add, Delete, Keep, Update
from duomem_jax.memory.store.entry import Origin
from duomem_jax.memory.store.store import Store
from duomem_jax.memory.teach.tell import tell_turns
from duomem_jax.records.dialogues import Turn
from duomem_jax.speak import open_speaker
from duomem_jax.speak.served.server import Server
from duomem_jax.worlds.dialogues import Size, generate_dialogue, teacher

AT, LATER = "2024-05-01T12:00:00Z", "2024-06-01T12:00:00Z"


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """Opens a store that a model of the given answers keeps."""
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    opened = []

    def open_with(answer):
        server = serving(answer)
        running = server.__enter__()
        speaker = open_speaker(
            "openai:model", server=Server(running.url), record=tmp_path / "answers"
        )
        model = speaker.__enter__()
        keeper = ModelKeeper(Experts(model, model, model, model, model))
        store = Store.open(tmp_path / "store.sqlite", embedder=make_embedder(), keeper=keeper)
        opened.extend((store, speaker, server))
        return store

    yield open_with
    for each in opened:
        each.__exit__(None, None, None)


def saying(extract='{"facts":[]}', update='{"operations":[]}', answer="Lyon"):
    """A model with one answer to each operation."""

    def answer_all(body):
        text = body["messages"][-1]["content"]
        if "<turns>" in text:
            return completion(extract)
        return completion(update if "<fact>" in text else answer)

    return answer_all


def facts(*texts, turn=1):
    return json.dumps({"facts": [{"turn": turn, "fact": text} for text in texts]})


def operations(*said):
    return json.dumps({"operations": list(said)})


def sentence(text):
    return text.split(". ")[0].rstrip(".")


def texts(store):
    return [entry.text for entry in store.entries()]


@pytest.mark.parametrize("index", range(4))
def test_a_model_without_mistakes_keeps_what_is_true(kept, index):
    dialogue = generate_dialogue(11, index, Size(sessions=4))
    model = Teacher(dialogue)
    store = kept(model)
    for session in dialogue.sessions:
        store.remember(session.turns, at=session.at, who="x")
    # Without what was before: a memory that was not found for comparing cannot tell it, and stands
    # beside the new one. That is the fault of retrieval.
    wanted = {sentence(fact.text) for fact in teacher.remembered(dialogue)}
    held = store.entries()
    assert wanted <= {sentence(entry.text) for entry in held}
    assert len(held) <= len(wanted) + 2
    evidence = {turn for entry in held for turn in entry.evidence}
    assert evidence <= {turn.id for _, turn in dialogue.turns()}
    assert all(entry.owner == "x" and entry.writer for entry in held)


def test_a_plan_changes_nothing_and_is_what_remembering_does(kept):
    dialogue = generate_dialogue(11, 7, Size(sessions=2))
    store = kept(Teacher(dialogue))
    for session in dialogue.sessions:
        before = texts(store)
        plan = store.plan(session.turns, at=session.at)
        assert texts(store) == before
        applied = store.remember(session.turns, at=session.at)
        assert tuple(a.operation for a in applied) == plan.operations


def test_a_dialogue_told_as_a_whole_has_every_window_read_once_and_before_all_updates(kept):
    dialogue = generate_dialogue(11, 7, Size(sessions=3))
    model, asked = Teacher(dialogue), []

    def listening(body):
        asked.append("extract" if "<turns>" in body["messages"][-1]["content"] else "update")
        return model(body)

    store = kept(listening)
    tell_turns(store, dialogue)
    at_once = store.entries()
    extractions = sum(len(list(windows(s.turns, s.at))) for s in dialogue.sessions)
    assert asked[:extractions] == ["extract"] * extractions
    assert asked[extractions:] == ["update"] * len(asked[extractions:]) != []
    store.forget(who=dialogue.id)
    for session in dialogue.sessions:
        store.remember(session.turns, at=session.at, who=dialogue.id)
    assert [(e.text, e.evidence) for e in store.entries()] == [
        (e.text, e.evidence) for e in at_once
    ]


def test_a_correction_within_one_breath_replaces_what_it_corrects(kept):
    said = facts("Ann moved to Lyon on Tuesday.", "Ann moved to Lyon on Monday.")
    store = kept(saying(said, operations({"do": "update", "id": 1})))
    store.remember([Turn("a", "Ann", "It was Tuesday, sorry, Monday.")], at=AT)
    assert texts(store) == ["Ann moved to Lyon on Monday."]


def test_a_value_that_changes_is_replaced_and_its_history_stays(kept):
    store = kept(saying(facts("Ann lives in Lyon."), operations({"do": "update", "id": 1})))
    store.apply([Add("Ann lives in Porto.", "Ann", ("z",))], Origin("me", "", happened=AT))
    store.remember([Turn("a", "Ann", "I live in Lyon now.")], at=LATER)
    (entry,) = store.entries()
    assert (entry.text, entry.evidence, entry.happened) == ("Ann lives in Lyon.", ("a",), LATER)
    assert [v.text for v in store.history(entry.id)] == [
        "Ann lives in Porto.",
        "Ann lives in Lyon.",
    ]


def test_what_a_model_may_say_about_a_known_fact(kept):
    store = kept(
        saying(facts("Ann gave up tennis."), operations({"do": "delete", "id": 1}, {"do": "add"}))
    )
    store.apply([Add("Ann plays tennis.", "Ann")], Origin("me", "", happened=AT))
    plan = store.plan([Turn("a", "Ann", "No more tennis for me.")], at=LATER)
    assert plan.operations == (Delete(1, ("a",)), Add("Ann gave up tennis.", "Ann", ("a",)))
    store.remember([Turn("a", "Ann", "No more tennis for me.")], at=LATER)
    assert texts(store) == ["Ann gave up tennis."]


@pytest.mark.parametrize(
    ("update", "why"),
    [
        (operations({"do": "delete", "id": 9}), "9"),
        (operations({"do": "update", "id": 0}), "0"),
        (operations({"do": "delete", "id": "one"}), "one"),
        (operations({"do": "forget everything", "id": 1}), "forget"),
        ('{"memory": []}', "operations"),
        ("I would add it.", "no JSON"),
        ("", "empty"),
    ],
)
def test_what_is_no_decision_is_counted_and_the_fact_is_not_lost(kept, update, why):
    store = kept(saying(facts("Ann plays chess."), update))
    store.apply([Add("Ann plays tennis.", "Ann")], Origin("me", "", happened=AT))
    applied = store.remember([Turn("a", "Ann", "I play chess.")], at=LATER)
    assert texts(store) == ["Ann plays tennis.", "Ann plays chess."]
    (rejected,) = [a for a in applied if a.status == "rejected"]
    assert why in rejected.why
    assert len(store.keeper.updating.tally.rejected) == 1


@pytest.mark.parametrize(
    "extract",
    [
        "",
        "nothing new",
        '["Ann plays chess."]',
        '{"facts": ["Ann plays chess."]}',
        '{"facts": [{"turn": 2, "fact": "Ann plays chess."}]}',
        '{"facts": [{"turn": 1, "text": "Ann plays chess."}]}',
        '{"facts": [{"turn": 1, "fact": {"subject": "Ann"}}]}',
    ],
)
def test_what_is_no_fact_is_counted_and_never_guessed(kept, extract):
    store = kept(saying(extract))
    applied = store.remember([Turn("a", "Ann", "I play chess.")], at=AT)
    assert texts(store) == []
    assert [a.status for a in applied] == ["rejected"]


def test_what_is_known_word_for_word_is_kept_without_asking(kept):
    store = kept(saying(facts("Ann plays  CHESS."), update="must not be asked"))
    store.apply([Add("Ann plays chess.", "Ann")], Origin("me", "", happened=AT))
    plan = store.plan([Turn("a", "Ann", "I play chess.")], at=LATER)
    assert plan.operations == (Keep(1),)
    store.remember([Turn("a", "Ann", "I play chess.")], at=LATER)
    assert len(store.history(1)) == 1


def test_numbers_are_those_of_the_page_and_reach_no_memory_of_others(kept):
    store = kept(saying(facts("Ann plays chess."), operations({"do": "delete", "id": 1})))
    store.apply([Add("Ben plays chess.", "Ben")], Origin("me", "ben", happened=AT))
    store.apply([Add("Ann plays go.", "Ann")], Origin("me", "ann", happened=AT))
    store.remember([Turn("a", "Ann", "I play chess.")], at=LATER, who="ann")
    assert texts(store) == ["Ben plays chess."]


def test_a_fact_is_compared_with_the_memory_that_is_most_like_it_first(kept):
    asked = []

    def answer(body):
        text = body["messages"][-1]["content"]
        if "<turns>" in text:
            return completion(facts("Ann moved to Nice."))
        asked.append(text.split("<memories>\n")[1].split("\n</memories>")[0].split("\n"))
        return completion(operations({"do": "update", "id": 1}))

    store = kept(answer)
    old = [Add("Ben has a dog and Ann a cat.", "Ben"), Add("Ann moved to Lyon.", "Ann")]
    store.apply([old[1]], Origin("me", "", happened=AT))
    store.apply([old[0]], Origin("me", "", happened="2023-05-01T12:00:00Z"))
    store.remember([Turn("a", "Ann", "I moved to Nice.")], at=LATER)
    assert [line[:2] for line in asked[0]] == ["1.", "2."]
    assert asked[0][0].endswith("Ann moved to Lyon.")
    assert set(texts(store)) == {"Ben has a dog and Ann a cat.", "Ann moved to Nice."}


def test_nothing_said_means_nothing_asked_and_nothing_kept(kept):
    store = kept(saying(extract="must not be asked"))
    assert store.remember([], at=AT) == []
    assert store.keeper.extracting.tally.calls == 0


def test_an_answer_comes_from_what_fits_the_question(kept):
    seen = []

    def answer(body):
        seen.append(body["messages"][-1]["content"])
        return completion("Lyon")

    store = kept(answer)
    added = [Add("Ann lives in Lyon.", "Ann"), Add("Ben has a dog.", "Ben")]
    store.apply(added, Origin("me", "", happened=AT))
    found = store.answer("Where does Ann live?")
    assert found.text == "Lyon"
    assert found.shown[0].text == "Ann lives in Lyon."
    assert "[Wednesday, 1 May 2024] Ann lives in Lyon." in seen[0]


def test_an_update_of_what_was_updated_counts_once(kept):
    dialogue = [Turn("a", "Ann", "Lyon."), Turn("b", "Ann", "No, Nice.")]
    said = json.dumps(
        {
            "facts": [
                {"turn": 1, "fact": "Ann lives in Lyon."},
                {"turn": 2, "fact": "Ann lives in Nice."},
            ]
        }
    )
    store = kept(saying(said, operations({"do": "update", "id": 1})))
    store.apply([Add("Ann lives in Porto.", "Ann")], Origin("me", "", happened=AT))
    plan = store.plan(dialogue, at=LATER)
    assert plan.operations == (Update(1, "Ann lives in Nice.", ("b",)),)


def test_what_was_recalled_and_is_said_again_adds_nothing(kept):
    """A session told twice, and a memory that a reply has quoted."""
    dialogue = generate_dialogue(11, 3, Size(sessions=2))
    model = Teacher(dialogue)
    store = kept(model)
    for session in (*dialogue.sessions, dialogue.sessions[-1]):
        store.remember(session.turns, at=session.at)
    before = texts(store)
    store.remember(dialogue.sessions[-1].turns, at=dialogue.sessions[-1].at)
    assert texts(store) == before
    quoted = store.recall("Where do you work?", k=1)[0].entry
    store.apply([Add(quoted.text, quoted.speaker)], Origin("reply", "", happened=LATER))
    assert texts(store) == before


def test_equal_stores_in_every_time_zone(tmp_path, monkeypatch):
    """Turns told at one moment that is spelt in three zones."""
    exports = []
    for zone, at in (
        ("UTC", "2024-05-01T23:30:00Z"),
        ("Asia/Tokyo", "2024-05-02T08:30:00+09:00"),
        ("America/Los_Angeles", "2024-05-01T16:30:00-07:00"),
    ):
        monkeypatch.setenv("TZ", zone)
        name = zone.replace("/", "-")
        clock = lambda: datetime(2024, 6, 1, tzinfo=UTC)  # noqa: E731
        with Store.open(tmp_path / f"{name}.sqlite", clock=clock) as store:
            store.remember([Turn("1", "Ann", "I moved yesterday.")], at=at)
            store.export(tmp_path / f"{name}.jsonl")
        exports.append((tmp_path / f"{name}.jsonl").read_bytes())
    assert exports[0] == exports[1] == exports[2]


def test_no_network_is_needed_or_used(tmp_path):
    script = """
import socket

def refuse(*args, **kwargs):
    raise AssertionError("network")

socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
from duomem_jax.memory.store.store import Store
from duomem_jax.memory.store.mem0 import Memory
from duomem_jax.records.dialogues import Turn

with Store.open("s.sqlite") as store:
    store.remember([Turn("1", "Ann", "I live in Oslo.")], at="2024-05-01T12:00:00Z")
    assert store.recall("Where does Ann live? In Oslo?")
with Memory("m.sqlite") as memory:
    memory.add("I live in Oslo", user_id="ann")
    assert memory.search("Oslo", user_id="ann")["results"]
import sys
assert "jax" not in sys.modules
"""
    env = {**os.environ, "PYTHONPATH": os.getcwd()}
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, env=env)
