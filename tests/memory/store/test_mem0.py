"""Mem0's calls: what goes in and what comes out has its shapes."""

import inspect
from datetime import UTC, datetime

import pytest

from duomem_jax.base.errors import UserError
from duomem_jax.memory.store.mem0 import Memory

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)


@pytest.fixture
def memory(tmp_path):
    with Memory(tmp_path / "m.sqlite", clock=lambda: NOON) as memory:
        yield memory


def texts(result):
    return [item["memory"] for item in result["results"]]


def test_a_session_of_its_readme(memory):
    messages = [
        {"role": "system", "content": "You are helpful"},
        {"role": "user", "content": "I like thrillers"},
        {"role": "assistant", "content": "Noted, thrillers it is"},
    ]
    added = memory.add(messages, user_id="alice", metadata={"category": "movies"})
    assert [sorted(item) for item in added["results"]] == [["event", "id", "memory"]] * 2
    assert {item["event"] for item in added["results"]} == {"ADD"}
    id = added["results"][0]["id"]
    found = memory.search("thrillers", filters={"user_id": "alice"}, top_k=1)["results"]
    assert len(found) == 1
    assert found[0]["score"] > 0
    item = memory.get(id)
    assert item["memory"] == "I like thrillers"
    assert (item["user_id"], item["metadata"]) == ("alice", {"category": "movies"})
    assert memory.update(id, "I like comedies") == {"message": "Memory updated successfully!"}
    first, second = memory.history(id)
    assert (first["event"], first["old_memory"]) == ("ADD", None)
    assert (second["old_memory"], second["new_memory"]) == ("I like thrillers", "I like comedies")
    assert memory.get(id)["metadata"] == {"category": "movies"}
    assert memory.delete(id) == {"message": "Memory deleted successfully!"}
    assert memory.get(id) is None
    assert memory.history(id)[-1]["is_deleted"] == 1
    assert texts(memory.get_all(user_id="alice")) == ["Noted, thrillers it is"]


def test_scopes_narrow_each_other(memory):
    memory.add("a dog", user_id="u", agent_id="a", infer=False)
    memory.add("a dog", user_id="u", infer=False)
    memory.add("a dog", user_id="v", agent_id="a", run_id="r", infer=False)
    memory.add("a dog", user_id='{"user_id": "u"}', infer=False)

    def ids(**scope):
        found = [item["id"] for item in memory.search("dog", **scope)["results"]]
        assert found == [item["id"] for item in memory.get_all(**scope)["results"]]
        return found

    assert ids(user_id="u") == ["1", "2"]
    assert ids(agent_id="a") == ["1", "3"]
    assert ids(filters={"run_id": "r", "agent_id": "a"}) == ["3"]
    assert ids(user_id="nobody") == []
    memory.delete_all(agent_id="a")
    assert ids(user_id="u") == ["2"]
    assert memory.store.owners()


def test_metadata_filters_look_as_far_as_they_must(memory):
    for i in range(60):
        memory.add(f"dog {i}", user_id="u", metadata={"rare": i == 57, "n": i}, infer=False)
    assert texts(memory.search("dog", user_id="u", filters={"rare": True}, limit=5)) == ["dog 57"]
    assert texts(memory.search("dog", user_id="u", filters={"n": 3, "rare": "*"})) == ["dog 3"]
    assert len(memory.search("dog", user_id="u")["results"]) == 20


def test_event_time(memory):
    memory.add("then", user_id="u", timestamp=0)
    memory.add("later", user_id="u", timestamp="2023-05-08T15:56:00+02:00")
    memory.add("now", user_id="u")
    memory.add("in the future", user_id="u", timestamp="2030-01-01T00:00:00Z")
    created = [item["created_at"] for item in memory.get_all(user_id="u")["results"]]
    assert created == [
        "1970-01-01T00:00:00Z",
        "2023-05-08T13:56:00Z",
        "2024-05-01T12:00:00Z",
        "2030-01-01T00:00:00Z",
    ]
    memory.update("4", "in the near future")
    memory.delete("4")
    assert memory.get("4") is None


def test_procedures_and_reset(memory):
    memory.add("open the fridge first", agent_id="a", memory_type="procedural_memory")
    assert memory.store.entries()[0].kind == "procedure"
    memory.reset()
    assert memory.store.owners() == []


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (lambda m: m.add("x"), "user_id"),
        (lambda m: m.add("x", user_id=" "), "user_id"),
        (lambda m: m.add([{"role": "user"}], user_id="u"), "number 0"),
        (
            lambda m: m.add([{"role": "user", "content": [{"type": "image"}]}], user_id="u"),
            "number 0",
        ),
        (lambda m: m.add("x", user_id="u", timestamp="2024-01-01"), "time zone"),
        (lambda m: m.add("x", user_id="u", timestamp=1e30), "timestamp"),
        (lambda m: m.add("x", user_id="u", metadata={"a": object()}), "metadata"),
        (lambda m: m.add("x", user_id="u", memory_type="odd"), "memory_type"),
        (lambda m: m.search("x"), "user_id"),
        (lambda m: m.search("x", user_id="u", top_k=0), "k is 0"),
        (lambda m: m.search("x", user_id="u", top_k=1, limit=2), "two names"),
        (lambda m: m.search("x", user_id="u", filters={"n": {"gt": 1}}), "operator"),
        (lambda m: m.search("x", user_id="u", filters={"OR": [{}]}), "OR"),
        (lambda m: m.update("7", "x"), "no such memory"),
        (lambda m: m.delete("seven"), "memory_id"),
        (lambda m: m.delete_all(), "user_id"),
    ],
)
def test_a_mistake_is_one_sentence(memory, call, why):
    with pytest.raises(UserError, match=why):
        call(memory)


def test_unknown_arguments_are_refused(memory):
    with pytest.raises(TypeError, match="threshold"):
        memory.search("x", user_id="u", threshold=0.5)
    for name in ("add", "search", "get", "get_all", "update", "delete", "delete_all", "history"):
        kinds = {p.kind for p in inspect.signature(getattr(memory, name)).parameters.values()}
        assert inspect.Parameter.VAR_KEYWORD not in kinds
