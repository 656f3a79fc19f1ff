"""Models as teachers of extraction and update."""

import json
import re

import pytest
from faulty_server import completion, serving
from teaching_server import Teacher

from duomem_jax import cli
from duomem_jax.memory.operations.names import EXTRACT, UPDATE
from duomem_jax.records.demonstrations import demonstration_from_record
from duomem_jax.records.store.reader import read_dataset
from duomem_jax.records.store.spec import DEMONSTRATIONS, SPLIT
from duomem_jax.records.talked import read_dialogues


@pytest.fixture(scope="module")
def told(tmp_path_factory):
    """A folder of one dialogue whose facts change."""
    out = tmp_path_factory.mktemp("told") / "dialogues"
    run("dialogues", out, "--count", 1, "--seed", 3, "--size.sessions", 6)
    return out


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "none")


def run(*args):
    cli.main([str(arg) for arg in args])


def shown(out, told, operation, *more):
    run("demonstrations", out, "--dialogues", told, "--operation", operation, *more)
    return list(map(demonstration_from_record, read_dataset(out, SPLIT, DEMONSTRATIONS)))


def facts(decided):
    return [re.search(r"<fact>\n(.*)\n</fact>", d.messages[0]["content"])[1] for d in decided]


def rejected(out):
    (facts,) = json.loads((out / "manifest.json").read_text())["splits"].values()
    return facts["counts"]["rejected"]


def served(server):
    return "--teacher.model", "openai:teacher", "--server.url", server.url


def test_a_model_without_mistakes_shows_what_the_rules_show(told, tmp_path):
    (dialogue,) = read_dialogues(told)
    with serving(Teacher(dialogue)) as server:
        noted = shown(tmp_path / "model", told, EXTRACT, *served(server))
    wanted = shown(tmp_path / "rules", told, EXTRACT)
    assert [d.messages for d in noted] == [d.messages for d in wanted]


def test_updates_of_a_model_are_those_of_its_own_memories(told, tmp_path):
    (dialogue,) = read_dialogues(told)
    with serving(Teacher(dialogue)) as server:
        decided = shown(tmp_path / "model", told, UPDATE, *served(server))
        asked = len(server.requests)
        shown(tmp_path / "model", told, UPDATE, *served(server))
        assert len(server.requests) == asked  # complete
    replies = [json.loads(d.messages[-1]["content"])["operations"] for d in decided]
    done = {said["do"] for reply in replies for said in reply}
    assert done >= {"add", "update"}
    # As the rules do, by the same facts, though other memories may stand beside them. (The rules
    # show some of them a second time, without what they change.)
    by_rules = [d for d in shown(tmp_path / "rules", told, UPDATE) if not d.id.endswith("/missed")]
    assert facts(decided) == facts(by_rules)


def test_what_changes_a_memory_is_new_where_that_memory_is_missing(told, tmp_path):
    found = {d.id: d.messages for d in shown(tmp_path / "rules", told, UPDATE)}

    def said(chat):
        return json.loads(chat[-1]["content"])["operations"]

    def memories(chat):
        page = re.search(r"<memories>\n(.*)\n</memories>", chat[0]["content"], re.DOTALL)[1]
        return [line.split(". ", 1)[1] for line in page.splitlines()]

    twins = [(found[i.removesuffix("/missed")], found[i]) for i in found if i.endswith("/missed")]
    assert len(twins) > 5
    for whole, missed in twins:
        assert said(missed) == [{"do": "add"}] != said(whole)
        decided = {operation.get("id") for operation in said(whole)} - {None}
        left = [text for i, text in enumerate(memories(whole), 1) if i not in decided]
        assert memories(missed) == left or not decided  # what is known already is not mentioned
        assert {*memories(missed)} < {*memories(whole)}


def test_what_cannot_be_read_is_not_shown_and_counted(told, tmp_path, capsys):
    replies = iter(
        [
            "I noted everything.",
            json.dumps({"facts": [{"turn": 1, "fact": "  "}, {"turn": 2, "fact": "It is\nso."}]}),
        ]
    )
    with serving(lambda body: completion(next(replies, '{"facts": []}'))) as server:
        more = (*served(server), "--server.concurrency", 1)
        noted = shown(tmp_path / "out", told, EXTRACT, *more)
    texts = [d.messages[-1]["content"] for d in noted]
    assert texts[0] == '{"facts":[{"turn":2,"fact":" It is so."}]}'
    assert set(texts[1:]) == {'{"facts":[]}'}
    assert rejected(tmp_path / "out") == 2


def test_a_model_that_runs_here_shows_only_what_can_be_done(told, tmp_path):
    noted = shown(tmp_path / "out", told, EXTRACT, "--teacher.model", "tiny-listener")
    # Replies of this form may still be cut off.
    by_rules = shown(tmp_path / "rules", told, EXTRACT)
    assert len(noted) + rejected(tmp_path / "out") == len(by_rules)
    assert noted
    assert {type(json.loads(d.messages[-1]["content"])["facts"]) for d in noted} == {list}


@pytest.mark.parametrize(
    ("operation", "more"),
    [("answer", ("--teacher.model", "tiny-listener")), ("extract", ("--teacher.answer", "x"))],
)
def test_no_model_answers_in_place_of_the_keys(told, tmp_path, operation, more, capsys):
    with pytest.raises(SystemExit) as stop:
        shown(tmp_path / "out", told, operation, *more)
    assert stop.value.code == 2
    assert capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_facts_that_change_nothing_are_shown_as_often_as_asked_for(told, tmp_path):
    def texts(share):
        found = shown(tmp_path / share, told, UPDATE, "--how.added", share)
        return [d.messages[-1]["content"] for d in found]

    added = '{"operations":[{"do":"add"}]}'
    every, some, none = texts("1"), texts("0.5"), texts("0")
    assert 0 < some.count(added) < every.count(added)
    assert none == [text for text in every if text != added]
    assert none == [text for text in some if text != added]


def test_a_model_too_shows_fewer_of_them(told, tmp_path):
    (dialogue,) = read_dialogues(told)
    with serving(Teacher(dialogue)) as server:
        found = shown(tmp_path / "out", told, UPDATE, "--how.added", 0, *served(server))
    assert found
    assert '{"operations":[{"do":"add"}]}' not in {d.messages[-1]["content"] for d in found}
