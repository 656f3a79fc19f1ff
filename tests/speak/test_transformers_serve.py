"""A real server: `transformers serve` with the shipped tiny teacher, on a CPU."""

import contextlib
import dataclasses
import json
import os
import socket
import subprocess
import sys
import time

import httpx
import pytest

from duomem_jax import cli
from duomem_jax.agents.chat import ChatPolicy
from duomem_jax.agents.play import Talk
from duomem_jax.agents.player import Player, open_policy
from duomem_jax.agents.rollout import play_games
from duomem_jax.base.errors import UserError
from duomem_jax.models.shipped import model_folder
from duomem_jax.records.played import read_episodes
from duomem_jax.records.store.reader import read_dataset
from duomem_jax.speak.protocol import Sampling
from duomem_jax.speak.served.chat import chat_request
from duomem_jax.speak.served.model import ServedModel
from duomem_jax.speak.served.scores import score_request
from duomem_jax.speak.served.server import Server
from duomem_jax.speak.served.speaker import ServedConversations
from duomem_jax.worlds.household.load import load_games
from duomem_jax.worlds.household.world import Household

pytestmark = pytest.mark.slow

SERVE = "from transformers.cli.transformers import main; main()"
READY = 120.0  # seconds for the server to load


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """(address, model's name) of a running server."""
    for package in ("fastapi", "uvicorn", "openai", "torch"):
        pytest.importorskip(package, reason="`transformers serve` needs the extra `test`")
    root, folder = tmp_path_factory.mktemp("serve"), model_folder("tiny-teacher")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options = ("--host", "127.0.0.1", "--port", str(port), "--device", "cpu", "--dtype", "float32")
    with open(root / "log", "w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE, "serve", str(folder), *options],
            env=os.environ | {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        address = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + READY
        while time.monotonic() < deadline:
            assert process.poll() is None, (root / "log").read_text()[-2000:]
            with contextlib.suppress(httpx.TransportError):
                if httpx.get(f"{address}/health").is_success:
                    break
            time.sleep(0.2)
        yield f"{address}/v1", str(folder)
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def games(tmp_path_factory):
    folder = tmp_path_factory.mktemp("games") / "games"
    cli.main(["generate", str(folder), "--count", "3", "--seed", "8"])
    return folder


def test_it_plays_move_by_move_like_the_same_model_here(served, games, tmp_path):
    url, name = served
    world = Household()

    def play(policy):
        played = play_games(world, load_games(games), policy, slots=3, max_steps=8)
        return [game.episode for game in played]

    player = Player("here", name, talk=Talk(max_new=64))
    with open_policy(player, world, slots=3, record=tmp_path / "unused") as local:
        here = play(local)
    with ServedModel(name, Server(url), tmp_path / "served") as model:
        there = play(ChatPolicy(name, ServedConversations(model, Sampling(64))))
        bill = model.ledger.bill
    expected = {e.game_id: dataclasses.replace(e, player=name) for e in here}
    assert {e.game_id: e for e in there} == expected
    assert sum(len(e.turns) for e in there) == bill.answers > 10
    assert any(e.success for e in there)
    assert (bill.retries, bill.without_usage, len(bill.answered_by)) == (0, 0, 1)
    assert bill.prompt_tokens > 1000
    assert bill.completion_tokens > 100


def test_episodes_and_memories_from_the_command_line(served, games, tmp_path, monkeypatch):
    url, name = served
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    episodes, memories = str(tmp_path / "episodes"), str(tmp_path / "memories")
    player = ["--player.name", "t", "--player.model", f"openai:{name}", "--player.max-new", "64"]
    # It was trained without a system message.
    how = ["--player.system", "@/dev/null", "--how.max-steps", "20"]
    cli.main(["play", episodes, "--games.path", str(games), *player, *how])
    won = [e for e in read_episodes(episodes) if e.success]
    assert won
    args = ["--writer", f"openai:{name}", "--how.max-tokens", "128"]
    cli.main(["memories", memories, "--episodes", episodes, *args])
    counts = json.loads((tmp_path / "memories/manifest.json").read_text())["splits"]["train"]
    assert len(read_dataset(memories, "train")) + counts["counts"]["no_script"] == len(won)
    assert len(read_dataset(memories, "train")) > 0
    bill = json.loads((tmp_path / "memories/served.usage.json").read_text())
    assert bill["answers"] == len(won)


def test_refusals_of_a_real_server_are_sentences(served, tmp_path):
    url, name = served
    hello = [{"role": "user", "content": "hello"}]
    with (
        ServedModel("other", Server(url), tmp_path / "a") as model,
        pytest.raises(UserError, match=r"status 400 .*pinned.* the model 'other'"),
    ):
        next(model.ask([chat_request("other", hello, Sampling(5))]))
    with (
        ServedModel(name, Server(url), tmp_path / "b") as model,
        pytest.raises(UserError, match=r"status 4\d\d .*prompt_logprobs"),
    ):
        next(model.ask([score_request(name, [5, 6, 7], 2)]))
