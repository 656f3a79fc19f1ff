"""Memories that a served model writes: what it is shown, what it may answer, what it costs."""

import json
import re

import pytest
from faulty_server import completion, serving, status
from made_up import make_episode, store

from duomem_jax import cli
from duomem_jax.base.errors import UserError
from duomem_jax.base.shard import Shard
from duomem_jax.memory.bank import MemoryBank
from duomem_jax.memory.embed import make_embedder
from duomem_jax.memory.write import Writing
from duomem_jax.records.played import read_episodes
from duomem_jax.speak.served.server import Server
from duomem_jax.stages.memories import maintain, memories
from duomem_jax.text.turns import trajectory

WRITER = "openai:scribe"


def scribe(body):
    (message,) = body["messages"]
    task = message["content"].rpartition("Your task is to: ")[2].splitlines()[0]
    return completion(f"1. think of it.\n2. {task}", prompt=100)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving(scribe) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        yield server


def bank(folder):
    return MemoryBank.load(folder, make_embedder()).memories


def manifest(folder):
    return json.loads((folder / "manifest.json").read_text())["splits"]["train"]


def usage(folder):
    return json.loads((folder / "served.usage.json").read_text())


def test_each_won_episode_is_abstracted(server, episodes_folder, tmp_path):
    won = [e for e in read_episodes(episodes_folder) if e.success]
    sampling = ["--how.max-new", "99", "--how.temperature", "0.5", "--server.concurrency", "2"]
    args = ["--episodes", str(episodes_folder), "--writer", WRITER, *sampling]
    cli.main(["memories", str(tmp_path / "m"), *args])
    assert [m.text for m in bank(tmp_path / "m")] == [f"1. think of it. 2. {e.task}" for e in won]
    shown = {body["messages"][0]["content"] for body in server.answered}
    for episode in won:
        (text,) = [s for s in shown if s.endswith(trajectory(episode))]
        assert f"The task: {episode.task}\n" in text
        assert "$" not in text
    assert {(b["max_tokens"], b["temperature"]) for b in server.answered} == {(99, 0.5)}
    bill = usage(tmp_path / "m")
    # Made-up games of one task look the same to the last letter, so their answer is paid once.
    assert bill["answers"] == len(shown) == len({e.task for e in won}) == 5
    assert bill["prompt_tokens"] == 500


def test_a_trajectory_tells_all_that_happened():
    assert trajectory(make_episode(0)).splitlines() == [
        "A room. Your task is to: put a clean plate in fridge.",
        "Thought: Look.",
        "Action: look",
        "Observation: Done.",
    ]


@pytest.mark.parametrize(
    ("content", "finish"), [("", "stop"), (None, "stop"), (" \n", "stop"), ("1. find", "length")]
)
def test_an_unusable_answer_makes_no_memory(server, tmp_path, content, finish):
    def sometimes(body):
        good = "plate" not in body["messages"][0]["content"]
        return scribe(body) if good else completion(content, finish)

    server.answer = sometimes
    episodes = store(tmp_path / "episodes", [make_episode(i) for i in range(5)])
    memories(str(tmp_path / "m"), str(episodes), writer=WRITER)
    assert manifest(tmp_path / "m")["counts"] == {"failed": 0, "no_script": 2}
    assert len(bank(tmp_path / "m")) == 3
    assert usage(tmp_path / "m")["answers"] == 5


def test_an_episode_that_is_too_long_makes_no_memory(server, tmp_path):
    server.faults = [status(400, "maximum context length is 8")]
    episodes = store(tmp_path / "episodes", [make_episode(i) for i in range(3)])
    memories(str(tmp_path / "m"), str(episodes), writer=WRITER)
    assert manifest(tmp_path / "m")["counts"]["no_script"] == 1


def test_a_stopped_run_goes_on_without_paying_again(server, tmp_path):
    episodes = [make_episode(i, task=f"find thing {i}.") for i in range(20)]
    folder = store(tmp_path / "episodes", episodes)
    server.faults = [None] * 7 + [status(403, "no credit")]
    args = {"writer": WRITER, "server": Server(concurrency=1)}
    with pytest.raises(UserError, match="no credit"):
        memories(str(tmp_path / "m"), str(folder), **args)
    assert len(server.answered) == 7
    args["server"] = Server(concurrency=3)
    memories(str(tmp_path / "m"), str(folder), **args)
    assert len(server.answered) == len({json.dumps(b) for b in server.answered}) == 20
    assert usage(tmp_path / "m")["answers"] == 20
    memories(str(tmp_path / "m"), str(folder), **args)
    assert len(server.answered) == 20


def test_shards_pay_for_their_own_part(server, tmp_path):
    folder = store(tmp_path / "episodes", [make_episode(i, task=f"do {i}.") for i in range(5)])
    for i in range(2):
        memories(str(tmp_path / "m"), str(folder), shard=Shard(i, 2), writer=WRITER)
    assert len(bank(tmp_path / "m")) == len(server.answered) == 5
    files = sorted(tmp_path.glob("m/served-*.usage.json"))
    assert [json.loads(f.read_text())["answers"] for f in files] == [3, 2]


def test_the_bank_belongs_to_its_writer(server, episodes_folder, tmp_path):
    memories(str(tmp_path / "m"), str(episodes_folder), writer=WRITER)
    writer = manifest(tmp_path / "m")["config"]["writer"]
    assert (writer["model"], len(writer["prompt"])) == ("openai:scribe", 64)
    own = tmp_path / "own.txt"
    own.write_text("Task $task, for $$5:\n$trajectory")
    changes = [
        ({"writer": "script"}, r"config\.writer"),
        ({"writer": "openai:other"}, r"config\.writer\.model='openai:scribe'"),
        ({"how": Writing(temperature=0.7)}, r"config\.writer\.temperature"),
        ({"how": Writing(prompt=str(own))}, r"config\.writer\.prompt"),
    ]
    for change, says in changes:
        with pytest.raises(UserError, match=says):
            memories(str(tmp_path / "m"), str(episodes_folder), **({"writer": WRITER} | change))
    memories(
        str(tmp_path / "own"),
        str(episodes_folder),
        writer=WRITER,
        how=Writing(prompt=str(own)),
    )
    last = server.answered[-1]["messages"][0]["content"]
    assert re.fullmatch(r"Task (.*), for \$5:\nA room. Your task is to: \1\n(.|\n)*", last)


def test_a_bank_is_kept_up_by_the_same_writer(server, episodes_folder, tmp_path):
    memories(str(tmp_path / "m"), str(episodes_folder), writer=WRITER)
    new = [make_episode(40, task="wash the dog."), make_episode(41, task="feed it.", success=False)]
    folder = store(tmp_path / "episodes", new)
    args = str(tmp_path / "kept"), str(tmp_path / "m"), str(folder)
    server.faults = [status(401, "bad key")]
    with pytest.raises(UserError, match="bad key"):
        maintain(*args, writer=WRITER)
    assert maintain(*args, writer=WRITER).records == 16
    assert "1. think of it. 2. wash the dog." in {m.text for m in bank(tmp_path / "kept")}
    assert usage(tmp_path / "kept")["answers"] == 1
    with pytest.raises(UserError, match=r"config\.writer"):
        maintain(*args)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"writer": "poet"},
            r"writer poet: no such folder.*; script needs no model, openai:N",
        ),
        ({"writer": "openai:"}, "name is missing"),
        ({"how": Writing(prompt="nowhere.txt")}, r"prompt nowhere\.txt: not readable"),
    ],
)
def test_mistakes_are_sentences(server, episodes_folder, tmp_path, change, says):
    with pytest.raises(UserError, match=says):
        memories(str(tmp_path / "m"), str(episodes_folder), **({"writer": WRITER} | change))
    assert not (tmp_path / "m").exists()
