"""`duomem play` and `evaluate` with a served player, killed in the middle and run again."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
from faulty_server import Walkthroughs, serving

from duomem_jax import cli
from duomem_jax.records.played import read_episodes
from duomem_jax.records.results import read_results
from duomem_jax.worlds.household.load import load_games

GAMES, SLOTS = 6, 4
REPO = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def games(tmp_path_factory):
    folder = tmp_path_factory.mktemp("games") / "games"
    cli.main(["generate", str(folder), "--count", str(GAMES), "--seed", "3"])
    return folder


@pytest.fixture
def server(games, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving(Walkthroughs(load_games(games))) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        yield server


def command(stage, out, games, *args):
    player = ("--player.name", "t", "--player.model", "openai:teacher")
    how = ("--how.slots", SLOTS, "--server.prompt-price", "1", "--server.completion-price", "2")
    return [str(a) for a in (stage, out, "--games.path", games, *player, *how, *args)]


def kill_when_silent(server, args, after):
    """Run `duomem`; kill it (-9) when it waits for the server, which stops answering on purpose.

    After whole rounds, so that the first request of the next tells that all answers are stored.
    """
    assert after % SLOTS == 0
    server.faults = [None] * after + [lambda _: time.sleep(60)] * SLOTS
    process = subprocess.Popen([sys.executable, "-m", "duomem_jax", *args], cwd=REPO)
    try:
        deadline = time.monotonic() + 60
        while len(server.requests) <= after and time.monotonic() < deadline:
            assert process.poll() is None
            time.sleep(0.02)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    server.faults = []
    assert len(server.answered) == after


def usage(file):
    bill = json.loads(file.read_text())
    return {n: bill[n] for n in ("answers", "prompt_tokens", "completion_tokens", "dollars")}


def test_a_killed_run_never_pays_twice(server, games, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    cli.main(command("play", whole, games))
    expected = Counter(json.dumps(body) for body in server.answered)
    assert set(expected.values()) == {1}
    server.answered.clear()
    server.requests.clear()

    kill_when_silent(server, command("play", killed, games), after=2 * SLOTS)
    cli.main(command("play", killed, games))
    assert Counter(json.dumps(body) for body in server.answered) == expected
    assert list(read_episodes(killed)) == list(read_episodes(whole))
    bill = usage(killed / "served.usage.json")
    assert bill == usage(whole / "served.usage.json")
    assert bill["answers"] == len(server.answered)
    tokens = bill["prompt_tokens"] + 2 * bill["completion_tokens"]
    assert bill["dollars"] == pytest.approx(tokens / 1e6)

    cli.main(command("play", killed, games))  # complete: nothing is asked
    assert len(server.answered) == sum(expected.values())


def test_a_stopped_evaluation_continues_without_paying_again(server, games, tmp_path, capsys):
    server.faults = [None] * 7 + [lambda handler: handler.send(401, "no credit")]
    with pytest.raises(SystemExit):
        cli.main(command("evaluate", tmp_path, games))
    assert "no credit" in capsys.readouterr().err
    paid = len(server.answered)
    cli.main(command("evaluate", tmp_path, games, "--server.concurrency", 1))
    assert len(server.answered) == len({json.dumps(b) for b in server.answered}) > paid
    rows = read_results(tmp_path / "t.seed0.sqlite")
    assert len(rows) == GAMES
    assert all(r.scores["success"] == 1 for r in rows)
    assert all(r.cost.prompt_tokens > 50 and r.cost.new_tokens > 5 for r in rows)
    assert usage(tmp_path / "t.seed0.usage.json")["answers"] == len(server.answered)
    assert len(server.answered) == sum(r.scores["steps"] for r in rows)


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--player.adapter", "x"), "adapter is for models that run here"),
        (("--player.quantize", "int8"), "quantize is for models that run here"),
        (("--player.max-new", "1"), "max_new is 1"),
        (("--player.model", "openai:"), "name is missing"),
        (("--server.url", "there:8000"), "server address"),
        (("--server.concurrency", "0"), "field concurrency is 0; give a whole number"),
        (("--player.memory", "nowhere"), "nowhere"),
    ],
)
def test_mistakes_are_sentences(server, games, tmp_path, capsys, args, says):
    with pytest.raises(SystemExit) as stop:
        cli.main(command("play", tmp_path / "out", games, *args))
    assert stop.value.code == 2
    assert says in capsys.readouterr().err
    assert server.requests == []


def test_a_folder_belongs_to_its_prompt_and_model_but_not_to_its_server(
    server, games, tmp_path, capsys
):
    args = command("play", tmp_path / "out", games, "--how.max-steps", "1")
    cli.main(args)
    asked = len(server.requests)
    system = server.answered[0]["messages"][0]
    assert system["role"] == "system"
    assert "Action:" in system["content"]
    cli.main([*args, "--server.url", "http://elsewhere:1/v1"])
    for change in (("--player.system", "Play."), ("--player.model", "openai:other")):
        with pytest.raises(SystemExit):
            cli.main([*args, *change])
        assert "was begun with config.player." in capsys.readouterr().err
    assert len(server.requests) == asked
