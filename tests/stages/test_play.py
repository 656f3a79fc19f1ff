"""Which episodes a folder holds follows from the games themselves, not from where they lie."""

import json
import shutil

import pytest

from duomem_jax import stages
from duomem_jax.agents.player import Player
from duomem_jax.base.errors import UserError
from duomem_jax.records.played import read_episodes
from duomem_jax.worlds.games import Games

EXPERT = Player("expert", "expert")


@pytest.fixture
def games(tmp_path):
    stages.generate(str(tmp_path / "games"), 3, 1)
    return tmp_path / "games"


def play(tmp_path, path, limit=0):
    return stages.play(str(tmp_path / "episodes"), Games(str(path), limit=limit), EXPERT)


def test_the_same_games_at_another_path_are_the_same(games, tmp_path, monkeypatch):
    play(tmp_path, games)
    shutil.copytree(games, tmp_path / "copy")
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path / "copy", "games", "./copy/../games"):
        assert play(tmp_path, path).status == "already complete"
    manifest = json.loads((tmp_path / "episodes/manifest.json").read_text())
    assert manifest["splits"]["train"]["notes"]["games"] == str(games)  # told all the same


def test_other_games_at_the_same_path_are_refused(games, tmp_path):
    play(tmp_path, games)
    with pytest.raises(UserError, match=r"begun with source\.games\.content"):
        play(tmp_path, games, limit=2)
    shutil.rmtree(games)
    stages.generate(str(games), 3, 2)
    with pytest.raises(UserError, match=r"begun with source\.games\.content"):
        play(tmp_path, games)
    assert len(read_episodes(tmp_path / "episodes")) == 3


def test_games_of_one_id_are_refused_wherever_they_are_loaded(games, tmp_path):
    rows = [
        json.dumps({"id": game.id, "task": game.text, "pddl_problem": game.pddl_problem})
        for game in Games(str(games)).load()
    ]
    (tmp_path / "games.jsonl").write_text("\n".join([*rows, rows[0]]))
    with pytest.raises(UserError, match=r"games\.jsonl: two games have the id '"):
        play(tmp_path, tmp_path / "games.jsonl")
    with pytest.raises(UserError, match="two games have the id"):
        stages.evaluate(str(tmp_path / "results"), Games(str(tmp_path / "games.jsonl")), EXPERT)
    assert not (tmp_path / "episodes").exists()
    assert not (tmp_path / "results").exists()
