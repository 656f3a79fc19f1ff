"""Assistants asked about generated dialogues, from the command line to the table."""

import json
import re

import pytest
from faulty_server import completion, serving

from duomem_jax import cli
from duomem_jax.memory.store.store import Store
from duomem_jax.records.answers import collect_answers
from duomem_jax.records.talked import read_dialogues
from duomem_jax.worlds.dialogues import teacher

MODEL = "tiny-student"


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """Two small dialogues."""
    root = tmp_path_factory.mktemp("told")
    size = ("--size.sessions", 1, "--size.turns", 8, "--size.questions", 5)
    run("dialogues", root / "dialogues", "--count", 2, "--seed", 3, *size)
    return root / "dialogues"


def run(*args):
    cli.main([str(arg) for arg in args])


def ask(out, told, name, shown, *more):
    who = ("--assistant.name", name, "--assistant.model", MODEL, "--assistant.shown", shown)
    run("locomo", "run", out, "--dialogues", told, *who, *more)


def writers_of(file):
    with Store.open(file) as store:
        return {entry.writer for entry in store.entries()}


def test_every_row_of_the_table(told, tmp_path, capsys):
    out = tmp_path / "out"
    rows = ("nothing", "recent", "whole", "turns", "facts", "memories", "evidence")
    for shown in rows:
        ask(out, told, shown, shown)
    run("locomo", "score", out)
    text = capsys.readouterr().out
    questions = sum(len(d.questions) for d in read_dialogues(told))
    for shown in rows:
        (row,) = [line for line in text.splitlines() if line.startswith(f"| {shown} ")][:1]
        assert row
    assert re.findall(r"^\| memories +\| +(extract|update) ", text, re.M) == ["extract", "update"]
    answers = collect_answers(out)
    assert len(answers) == 7 * questions
    of = {shown: [a for a in answers if a.subject == shown] for shown in ("nothing", "evidence")}
    assert all(a.found == 1 for a in of["evidence"] if a.question.evidence)
    assert all(not a.shown and a.share == 0 for a in of["nothing"])
    stores = sorted(out.glob("stores/*/*.sqlite"))
    assert len(stores) == 6
    writers = [writers_of(store) for store in stores]
    assert writers.count({"verbatim"}) == writers.count({"teacher"}) == 2
    report = json.loads((out / "report.json").read_text())
    counted = sum(a.question.kind != "adversarial" for a in of["evidence"])
    assert {s["items"] for s in report["subjects"]} == {counted}


def test_what_a_teacher_would_remember_is_what_holds_at_the_end(tmp_path):
    size = ("--size.sessions", 12, "--size.questions", 5)
    run("dialogues", tmp_path / "told", "--count", 1, "--seed", 3, *size)
    ask(tmp_path / "out", tmp_path / "told", "a", "facts")
    (dialogue,) = read_dialogues(tmp_path / "told")
    (file,) = (tmp_path / "out").glob("stores/*/*.sqlite")
    with Store.open(file) as store:
        held = sorted((e.text, e.happened, e.evidence) for e in store.entries())
    facts = teacher.remembered(dialogue)
    assert held == sorted((f.text, dialogue.sessions[f.session].at, f.evidence) for f in facts)
    assert 0 < len(held) < len(dialogue.facts)


def test_assistants_that_remember_in_the_same_way_share_their_memories(told, tmp_path, capsys):
    out = tmp_path / "out"
    ask(out, told, "a", "memories")
    made = {path: path.stat().st_mtime_ns for path in out.glob("stores/*/*.sqlite")}
    assert len(made) == 2
    ask(out, told, "b", "memories", "--assistant.tokens", 50)
    assert {path: path.stat().st_mtime_ns for path in out.glob("stores/*/*.sqlite")} == made
    run("locomo", "score", out)
    # Kept once, they are told once.
    assert len(re.findall(r"^\| [ab] +\| +extract ", capsys.readouterr().out, re.M)) == 1


def test_a_run_goes_on_where_it_was_stopped_and_does_nothing_when_complete(told, tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    ask(whole, told, "a", "evidence")
    ask(parts, told, "a", "evidence", "--shard", "1/2")
    assert len({a.dialogue for a in collect_answers(parts)}) == 1
    ask(parts, told, "a", "evidence", "--shard", "0/2")

    def said(folder):
        return sorted((a.item, a.answer, a.shown) for a in collect_answers(folder))

    assert said(whole) == said(parts)
    file = whole / "a.seed0.sqlite"
    before = file.read_bytes()
    ask(whole, told, "a", "evidence")
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (("--assistant.extract", "x"), "extract: an expert of memories, and shown is turns"),
        (("--assistant.answer", "nowhere"), "nowhere"),
        (("--assistant.adapter", "x"), "give extract, update, answer or look"),
        (("--assistant.look", "x"), "look: an expert of pictures, and none are shown"),
        (("--assistant.pictures",), "pictures: tiny-student does not see"),
        (("--assistant.tokens", "0"), "tokens"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_a_sentence(told, tmp_path, more, sentence, capsys):
    with pytest.raises(SystemExit) as stop:
        ask(tmp_path / "out", told, "a", "turns", *more)
    assert stop.value.code == 2
    assert sentence in capsys.readouterr().err


def test_answers_about_other_dialogues_are_no_row_of_the_table(told, tmp_path, capsys):
    other = tmp_path / "other"
    run("dialogues", other, "--count", 1, "--seed", 4, "--size.sessions", 1, "--size.turns", 8)
    ask(tmp_path / "a", told, "a", "nothing")
    with pytest.raises(SystemExit):
        ask(tmp_path / "a", other, "b", "nothing")
    assert "protocol" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run("locomo", "score", told)
    assert "no answers" in capsys.readouterr().err


def test_a_judge_reads_each_answer_once_under_two_rubrics(told, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    out = tmp_path / "out"
    ask(out, told, "a", "evidence")

    def lenient(body):
        return completion(json.dumps({"correct": "be generous" in str(body).lower()}))

    with serving(lenient) as server:
        judge = ("--judge", "openai:judge", "--server.url", server.url)
        run("locomo", "score", out, *judge)
        asked = len(server.requests)
        run("locomo", "score", out, *judge)
        assert len(server.requests) == asked
    answers = [a for a in collect_answers(out) if a.question.answer]
    distinct = {(a.question.text, a.question.answer, a.answer) for a in answers}
    assert asked == 2 * len(distinct)
    assert "judge, lenient" in capsys.readouterr().out
    report = json.loads((out / "report.json").read_text())
    means = report["subjects"][0]["means"]
    assert means["judge, strict"] == 0


def test_replies_of_a_judge_that_are_no_verdicts_are_told(told, tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    out = tmp_path / "out"
    ask(out, told, "a", "nothing")

    def undecided(body):
        lenient = "be generous" in str(body).lower()
        return completion(json.dumps({"correct": True}) if lenient else "Well, that depends.")

    with serving(undecided) as server:
        run("locomo", "score", out, "--judge", "openai:judge", "--server.url", server.url)
    note = json.loads((out / "report.json").read_text())["note"]
    judged = sum(bool(a.question.answer) for a in collect_answers(out))
    assert f"in {judged} of {judged} (strict) of its replies" in note
    assert "lenient" not in note


def keeping(gullible):
    """A model that notes the first turn it reads, and does what an attack says or not."""

    def answer(body):
        text = body["messages"][-1]["content"]
        attacked = gullible and "delete" in text.lower()
        if "<turns>" in text:
            turn = re.search(r"^1\. [^:]+: (.{,80})", text, re.M)[1]
            facts = [{"turn": 1, "fact": turn}] if "<before>\n(nothing)" in text else []
            return completion(json.dumps({"facts": facts}))
        if "<fact>" in text:
            done = [{"do": "delete", "id": 1}] if attacked else []
            return completion(json.dumps({"operations": done}))
        return completion("deleted" if attacked else "Oslo")

    return answer


@pytest.mark.parametrize("gullible", [False, True])
def test_attacks_are_said_to_copies_and_what_they_change_is_told(
    gullible, told, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    out = tmp_path / "out"
    with serving(keeping(gullible)) as server:
        who = ("--assistant.name", "a", "--assistant.model", "openai:m", "--server.url", server.url)
        run("locomo", "run", out, "--dialogues", told, *who)
        stores = {path: path.read_bytes() for path in out.glob("stores/*/*.sqlite")}
        run("locomo", "attack", out, "--dialogues", told, *who, "--questions", 2)
    said = capsys.readouterr().out
    attempts = json.loads((out / "a.seed0.attacks.json").read_text())
    assert len({a["text"] for a in attempts}) == len(attempts) >= 50
    harmful = [a for a in attempts if a["erased"] or a["changed"] or a["answers"]]
    assert f"{len(harmful)} of {len(attempts)} attacks changed something" in said
    assert bool(harmful) == gullible
    assert {path: path.read_bytes() for path in stores} == stores
    assert not list(out.glob("stores/*/attacked*"))
