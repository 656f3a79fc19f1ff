"""Stages whose folder is in a bucket end as on a disk, whatever becomes of their parts."""

import contextlib
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time

import numpy as np
import pytest

from duomem_jax import stages
from duomem_jax.agents.player import Player
from duomem_jax.agents.rollout import play_games
from duomem_jax.base import mirror
from duomem_jax.base.errors import StoppedError, UserError
from duomem_jax.base.shard import Shard
from duomem_jax.models.shipped import model_folder
from duomem_jax.records.played import read_episodes
from duomem_jax.records.results import collect_results
from duomem_jax.records.store.reader import read_dataset
from duomem_jax.stages.label import Label
from duomem_jax.worlds.games import Games

pytest.importorskip("gcsfs")
emulator = pytest.importorskip("gcp_storage_emulator.server")
EXPERT = Player("expert", "expert")
PARTS = Shard(0, 3).siblings()
WAITS = """
import sys, time
from duomem_jax import stages
from duomem_jax.agents import rollout
from duomem_jax.agents.player import Player
from duomem_jax.base import mirror
from duomem_jax.base.shard import Shard
from duomem_jax.worlds.games import Games

def two(*args, **kwargs):
    games = whole(*args, **kwargs)
    yield from (next(games), next(games))
    time.sleep(60)

whole = rollout.play_games
module = {"play": "stages.play", "evaluate": "evals.games.evaluate"}[sys.argv[1]]
sys.modules[f"duomem_jax.{module}"].play_games = two
mirror.PAUSE = 0.05
stage = getattr(stages, sys.argv[1])
stage(sys.argv[2], Games(sys.argv[3]), Player("expert", "expert"), shard=Shard(0, 3))
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A bucket that is also a folder."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    place = tmp_path_factory.mktemp("cloud")
    server = emulator.create_server(
        "localhost", port, in_memory=False, data_dir=str(place), default_bucket="bucket"
    )
    server.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("STORAGE_EMULATOR_HOST", f"http://localhost:{port}")
        patch.setenv("GOOGLE_CLOUD_PROJECT", "none")
        yield place / ".cloudstorage" / "bucket"
    server.stop()


@pytest.fixture
def bucket(server, request):
    """A folder of the bucket for each test: its address, and where it is on the disk."""
    name = request.node.name.replace("[", "-").rstrip("]")
    return f"gs://bucket/{name}", server / name


@pytest.fixture(scope="module")
def games(tmp_path_factory):
    path = tmp_path_factory.mktemp("games") / "games"
    stages.generate(str(path), 7, 1)
    return Games(str(path))


def names(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


def table(folder):
    """Of a report, without what games cost."""
    lines = (folder / "report.md").read_text().splitlines()
    return next(line for line in lines if "expert" in line)


def test_a_dataset_has_the_bytes_that_it_has_on_a_disk(bucket, games, tmp_path):
    url, folder = bucket
    reports = [stages.play(url, games, EXPERT, shard=part) for part in PARTS]
    assert [r.status for r in reports[:2]] == ["waiting", "waiting"]
    assert reports[2].records == 7
    assert str(reports[2]).startswith(f"{url}: ")
    for part in PARTS:
        stages.play(str(tmp_path / "here"), games, EXPERT, shard=part)
    here = [name for name in names(tmp_path / "here") if name != ".lock"]
    assert names(folder) == sorted([*here, "finished"])
    for name in here:
        assert (folder / name).read_bytes() == (tmp_path / "here" / name).read_bytes(), name
    assert len(read_episodes(folder)) == 7
    again = stages.play(url, games, EXPERT, shard=PARTS[0])
    assert again.status == "already complete"


def test_labels_are_those_that_a_disk_has(bucket, played, labelled):
    """Also where one part has no rows: they are shared out in blocks."""
    url, folder = bucket
    teacher = str(model_folder("tiny-teacher"))
    for part in Shard(0, 2).siblings():
        stages.label(url, str(played / "rows"), teacher, Label(k=8, rows=1), part)
    here, there = read_dataset(labelled, "train"), read_dataset(folder, "train")
    assert len(here) == len(there) > 0
    for mine, theirs in zip(here, there, strict=True):
        np.testing.assert_array_equal(mine["target_ids"], theirs["target_ids"])
    assert (folder / "finished").exists()


def test_results_of_all_parts_are_one_report(bucket, games, tmp_path):
    url, folder = bucket
    for part in Shard(0, 2).siblings():
        assert str(stages.evaluate(url, games, EXPERT, shard=part)) == f"{url}/report.md"
    assert len(collect_results([folder])) == 7
    stages.evaluate(str(tmp_path / "here"), games, EXPERT)
    assert table(folder) == table(tmp_path / "here")
    assert (folder / "finished").exists()
    assert not list(folder.glob(".ended/*"))


def test_a_part_without_games_waits_for_the_others(bucket, games):
    url, folder = bucket
    few = Games(games.path, limit=1)
    stages.evaluate(url, few, EXPERT, shard=Shard(1, 2))
    assert not (folder / "finished").exists()
    stages.evaluate(url, few, EXPERT, shard=Shard(0, 2))
    assert len(collect_results([folder])) == 1
    assert (folder / "finished").exists()


def test_another_config_is_refused_with_the_address(bucket, games):
    url, _ = bucket
    stages.play(url, games, EXPERT, shard=PARTS[0])
    with pytest.raises(UserError, match=rf"^{url}: .* was begun with shards=3, not 2"):
        stages.play(url, games, EXPERT, shard=Shard(0, 2))


def test_two_that_find_all_parts_ended_finish_alike(bucket, games, monkeypatch):
    """The first clears up while the second reads."""
    url, folder = bucket
    for part in PARTS[:2]:
        stages.play(url, games, EXPERT, shard=part)
    late = mirror.Mirror(url, folder.parent / "late", PARTS[0])
    seen = late._names()
    stages.play(url, games, EXPERT, shard=PARTS[2])
    # What it has listed before is gone now.
    lists = iter([seen])
    monkeypatch.setattr(late, "_names", lambda: next(lists, None) or names(folder))
    late.fetch()
    assert (folder.parent / "late" / "manifest.json").exists()


@pytest.fixture
def interrupted(monkeypatch):
    """Call something after so many games of the next part; gives how many were played since."""

    def arrange(after, call):
        played = []

        def some(*args, **kwargs):
            for game in play_games(*args, **kwargs):
                yield game
                played.append(game)
                if len(played) == after:
                    call()

        for name in ("stages.play", "evals.games.evaluate"):
            # Not by attributes, where functions of the same names are before the modules.
            monkeypatch.setattr(sys.modules[f"duomem_jax.{name}"], "play_games", some)
        return played

    return arrange


def test_told_to_end_it_keeps_what_is_done(bucket, games, interrupted):
    url, folder = bucket
    before = signal.getsignal(signal.SIGTERM)
    interrupted(2, lambda: os.kill(os.getpid(), signal.SIGTERM))
    with pytest.raises(StoppedError, match=f"what is done is in {url}"):
        stages.play(url, games, EXPERT)
    assert signal.getsignal(signal.SIGTERM) is before
    rest = interrupted(99, None)
    assert stages.play(url, games, EXPERT).records == 7
    assert len(rest) == 7 - 2
    assert (folder / "finished").exists()


@pytest.mark.parametrize(
    "stage", [stages.play, pytest.param(stages.evaluate, marks=pytest.mark.slow)]
)
def test_killed_it_goes_on_from_the_last_copy(bucket, games, interrupted, stage):
    """In a process of its own, which waits after two games, and is killed once these are copied."""
    url, folder = bucket
    command = [sys.executable, "-c", WAITS, stage.__name__, url, games.path]
    child = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        until(lambda: sum(map(units, folder.rglob("*.sqlite"))) == 2)
    finally:
        child.kill()
        child.wait()
    rest = interrupted(99, None)
    stage(url, games, EXPERT, shard=PARTS[0])
    assert len(rest) == 3 - 2


def until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


def units(path):
    """Finished games of a log's copy, which the server may be writing."""
    try:
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            return database.execute("SELECT count(*) FROM units").fetchone()[0]
    except sqlite3.Error:
        return 0
