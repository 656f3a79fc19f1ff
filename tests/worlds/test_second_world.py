"""A second world, in this one file and one line of the registry, through every stage."""

from pathlib import Path
from typing import ClassVar

import pytest

from duomem_jax import cli, stages
from duomem_jax.agents.play import Play, Recall, Talk
from duomem_jax.agents.player import Player
from duomem_jax.base.errors import UserError
from duomem_jax.mesh.config import MeshConfig
from duomem_jax.models.lora import LoraConfig
from duomem_jax.records.played import read_episodes
from duomem_jax.records.results import collect_results
from duomem_jax.records.store.reader import read_dataset
from duomem_jax.speak.open import Local
from duomem_jax.stages.examples import Examples
from duomem_jax.train.config import OptimizerConfig, TrainConfig
from duomem_jax.train.run import run as train
from duomem_jax.worlds import WORLDS, Move, Step, Task, World, open_world
from duomem_jax.worlds.games import Games


class Vigil:
    """Somebody stands before a fridge and has to look at it until it opens."""

    def __init__(self, looks: int):
        self.looks = looks

    def reset(self) -> str:
        self.done = 0
        return f"You see a fridge 1.\n\nYour task is to: {_text(self.looks)}"

    def step(self, command: str) -> Step:
        self.done += command == "look"
        score = self.done / self.looks
        return Step("It is open." if score == 1.0 else "It is closed.", score == 1.0, score)


class Watcher:
    """Never does anything else."""

    def reset(self, first_observation: str) -> None:
        assert "Your task is to: look" in first_observation

    def act(self, observation: str) -> Move:
        return Move("Look.", "look")


class Kitchen(World[Task]):
    """Tasks are numbers in a file: how often to look; two neighbours are a group."""

    name = "kitchen"
    prompt = "Answer in two lines, the second of them: Action: look."
    kinds: ClassVar = {"a short vigil": "short", "a long vigil": "long"}
    players: ClassVar = {"watcher": Watcher}
    writers: ClassVar = {"script": lambda e: f"1. look {len(e.turns)} times."}

    def tasks(self, path, split=""):
        looks = [int(word) for word in Path(path, split).read_text().split()]
        kinds = ["a long vigil" if n > 3 else "a short vigil" for n in looks]
        return [
            Task(f"{i}", _text(n), kind, group=f"evening {i // 2}")
            for i, (n, kind) in enumerate(zip(looks, kinds, strict=True))
        ]

    def open(self, task):
        return Vigil(int(task.text.split()[1]))


def _text(looks: int) -> str:
    return f"look {looks} times."


@pytest.fixture(scope="module")
def games(tmp_path_factory):
    """Six vigils on three evenings, in a world that is registered as long as this module runs."""
    folder = tmp_path_factory.mktemp("kitchen")
    (folder / "looks.txt").write_text("2 8 1 3 5 2")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(WORLDS, "kitchen", Kitchen)
        yield Games(str(folder), "looks.txt", world="kitchen")


@pytest.fixture(scope="module")
def root(games, tmp_path_factory):
    """Episodes of its rule-based player, four won and two not in time, and their memories."""
    root = tmp_path_factory.mktemp("played")
    player = Player("watcher", "watcher")
    stages.play(str(root / "episodes"), games, player, Play(slots=4, max_steps=4))
    stages.memories(str(root / "memories"), str(root / "episodes"))
    return root


def test_its_games_are_played_and_half_done_ones_have_a_score(root):
    episodes = {e.game_id: e for e in read_episodes(root / "episodes")}
    assert {e.world for e in episodes.values()} == {"kitchen"}
    scores = {id: e.score for id, e in episodes.items()}
    assert scores == pytest.approx({"0": 1, "1": 4 / 8, "2": 1, "3": 1, "4": 4 / 5, "5": 1})
    assert [id for id, e in sorted(episodes.items()) if e.success] == ["0", "2", "3", "5"]


def test_its_own_writer_writes_the_memories(root):
    memories = {m["key"]: m["text"] for m in read_dataset(root / "memories", "train")}
    assert memories["look 3 times."] == "1. look 3 times."
    assert set(memories) == {f"look {n} times." for n in (1, 2, 3)}


def test_a_student_learns_from_it_and_is_scored_by_it(games, root, capsys):
    examples = str(root / "examples")
    how = Examples(length=160, memory_share=1.0)
    report = stages.examples(
        examples,
        "tiny-student",
        str(root / "episodes"),
        memory=str(root / "memories"),
        how=how,
    )
    assert report.counts["examples"] == 4
    adapter = train(
        TrainConfig(
            base="tiny-student",
            data=examples,
            output=str(root / "run"),
            lora=LoraConfig(rank=8, alpha=16.0),
            optimizer=OptimizerConfig(name="muon", learning_rate=1e-2),
            mesh=MeshConfig(data=1),
            steps=40,
            global_batch=2,
        )
    )
    results = str(root / "results")
    student = Player(
        "student",
        "tiny-student",
        Recall(str(root / "memories"), k=2),
        Talk(max_new=16),
        local=Local(adapter=str(adapter)),
    )
    stages.evaluate(results, games, student, Play(slots=6, max_steps=4))
    rows = collect_results([results])
    assert {(r.group, r.kind) for r in rows} == {
        ("evening 0", "a short vigil"),
        ("evening 0", "a long vigil"),
        ("evening 1", "a short vigil"),
        ("evening 2", "a long vigil"),
        ("evening 2", "a short vigil"),
    }
    scores = [r.scores["score"] for r in rows]
    assert all(0 <= score <= 1 for score in scores)
    assert sum(scores) > 1  # without the adapter it never looks: 0

    where = ("--games.path", games.path, "--games.split", games.split, "--games.world", games.world)
    player = ("--player.name", "watcher", "--player.model", "watcher")
    cli.main(["evaluate", results, *where, *player, "--how.max-steps", "4"])
    text = capsys.readouterr().out
    assert "| subject | short | long |" in text
    assert "| watcher | 100.0 |  0.0 |" in text
    assert "looks.txt, at most 4 steps." in text


def test_a_world_without_generator_lessons_or_engine_says_so(games, root, tmp_path):
    with pytest.raises(UserError, match="kitchen: it has no generator"):
        stages.generate(str(tmp_path / "games"), 2, 1, "kitchen")
    with pytest.raises(UserError, match="kitchen: it makes up no tasks"):
        stages.lessons(str(tmp_path / "lessons"), games)
    with pytest.raises(UserError, match="no kind of tasks 'middling'; its kinds are short, long"):
        stages.lessons(str(tmp_path / "lessons"), games, stages.Lessons(without="middling"))
    with pytest.raises(UserError, match=r"no engine 'fast'; omit it"):
        open_world("kitchen", "fast")
    with pytest.raises(UserError, match=r"writer prose: no such folder.*script needs no model"):
        stages.memories(str(tmp_path / "m"), str(root / "episodes"), writer="prose")
