"""The whole of DuoMem on a handful of games, and again."""

import dataclasses
import json
import sys
from pathlib import Path

import pytest

from duomem_jax import cli
from duomem_jax.agents.play import Play
from duomem_jax.base.errors import UserError
from duomem_jax.base.folder import claim_folder
from duomem_jax.experiments.compare import load_experiment
from duomem_jax.experiments.curve import LearningCurve, run_curve
from duomem_jax.experiments.experiment import TEACHER
from duomem_jax.experiments.recipe import Recipe
from duomem_jax.experiments.run import KIND, run_experiment
from duomem_jax.experiments.training import cost
from duomem_jax.objectives.config import ObjectiveConfig
from duomem_jax.records.results import collect_results
from duomem_jax.stages import generate
from duomem_jax.stages.label import Label
from duomem_jax.train.config import OnPolicyConfig

GAMES = {"train": 6, "test": 2}
# The quick start, shrunk to seconds.
CONFIG = """
import dataclasses
from duomem_jax import cli
from duomem_jax.agents.play import Play
from duomem_jax.experiments.quickstart import quickstart_experiment
from duomem_jax.experiments.recipe import Recipe
from duomem_jax.mesh.config import MeshConfig
from duomem_jax.worlds.games import Games


def get_experiment():
    whole = quickstart_experiment({root!r})
    return dataclasses.replace(
        whole,
        self_games=Games({root!r} + "/games-train", limit=2),
        train=dataclasses.replace(whole.train, steps=2, global_batch=1, mesh=MeshConfig(data=1)),
        play=Play(slots=6, max_steps=10),
        max_new=4,
        recipes=(Recipe(),),
        seeds=(0, 1),
    )
"""


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    """The file of a small experiment, and its games."""
    root = str(tmp_path_factory.mktemp("experiment") / "out")
    claim_folder(root, KIND)
    generate(f"{root}/games-train", count=GAMES["train"], seed=1)
    generate(f"{root}/games-test", count=GAMES["test"], seed=2)
    config = Path(root).with_name("config.py")
    config.write_text(CONFIG.format(root=root))
    return config


@pytest.fixture(scope="module")
def experiment(file):
    return load_experiment(file)


def test_every_player_plays_every_game_and_a_second_run_plays_none(experiment, caplog):
    report = run_experiment(experiment)
    rows = collect_results([report.parent / "results"])
    seeds = {name: {r.seed for r in rows if r.subject == name} for name in experiment.players}
    # It wins nothing by itself, so it has nothing to remember of it.
    assert seeds.pop("self memory") == set()
    trained = {"LoRA", "both"}
    assert trained < set(seeds)
    assert seeds == {name: {0, 1} if name in trained else {0} for name in seeds}
    assert len(rows) == GAMES["test"] * sum(map(len, seeds.values()))
    first = report.read_text()
    assert all(f"| {name} " in first for name in seeds)
    assert "the 0 of 2 games that it won by itself at temperature 1, so there are none" in first

    caplog.clear()
    with caplog.at_level("INFO"):
        assert run_experiment(experiment).read_text() == first
    assert caplog.text.count("already complete") >= 4
    assert not [r for r in caplog.messages if "written" in r]


def test_compare_and_quickstart_print_the_report(file, experiment, capsys, monkeypatch):
    """Through the command line, on what the test above has played and trained, or now."""
    cli.main(["compare", str(file)])
    printed = capsys.readouterr().out
    report = (Path(experiment.output) / "report.md").read_text()
    assert report in printed
    module = sys.modules["duomem_jax.experiments.quickstart"]
    monkeypatch.setattr(module, "quickstart_experiment", lambda out: experiment)
    monkeypatch.setattr(module, "TRAIN_GAMES", GAMES["train"])
    monkeypatch.setattr(module, "TEST_GAMES", GAMES["test"])
    cli.main(["quickstart", experiment.output])
    printed = capsys.readouterr().out
    assert "games-train: already there, reused" in printed
    assert report in printed
    assert "What to run next" in printed


def test_the_teacher_is_not_told_what_the_student_is(experiment):
    """A system message would be strange to a teacher that was trained without one."""
    told = dataclasses.replace(experiment.examples, system="@play")
    e = dataclasses.replace(experiment, examples=told)
    world = e.test_games.open_world()
    assert e.player("no memory").manner(world).system == world.prompt
    assert e.player(TEACHER).manner(world).system == ""


@pytest.mark.slow
def test_a_learning_curve_has_two_rows_for_each_recipe_and_number_of_games(experiment, tmp_path):
    recipes = (Recipe(), Recipe("shown", memory_share=1.0))
    small = dataclasses.replace(
        experiment, output=str(tmp_path / "curve"), teacher="expert", recipes=recipes
    )
    games = experiment.train_games
    kinds = {task.kind for task in games.load()}
    sizes = [len(dataclasses.replace(games, per_kind=n).load()) for n in (1, 2)]
    assert sizes[0] == len(kinds) < sizes[1]

    report = run_curve(LearningCurve(small, per_kind=(1, 2)))
    rows = collect_results([report.parent / "results"])
    seeds = {(r.subject, r.seed) for r in rows}
    students = {
        (f"{name}, {n} games", s)
        for name in ("LoRA", "both", "shown", "shown + memory")
        for n in sizes
        for s in (0, 1)
    }
    assert seeds == {("teacher", 0), ("no memory", 0), *students}
    text = report.read_text()
    for other, base in (("both", "LoRA"), ("shown", "LoRA"), ("shown + memory", "both")):
        assert all(f"| {other}, {n} games - {base}, {n} games" in text for n in sizes)
    assert "(curve.png)" in text
    assert (report.parent / "curve.png").exists()
    assert run_curve(LearningCurve(small, per_kind=(1, 2))).read_text() == text


def test_a_learning_curve_is_refused_where_its_numbers_do_not_increase(experiment):
    for wrong in ((), (2, 1), (1, 1)):
        with pytest.raises(UserError, match="numbers of games that increase"):
            LearningCurve(experiment, per_kind=wrong)


@pytest.mark.slow
def test_recipes_are_compared_with_the_first(experiment, tmp_path, capsys):
    """Text, a teacher in the loop, stored targets and the student's own play, side by side."""
    recipes = (
        Recipe("text"),
        Recipe("top-8", ObjectiveConfig("forward_kl"), Label(k=8, rows=1)),
        Recipe("with memories", ObjectiveConfig("jsd"), memories="always"),
        Recipe("without", ObjectiveConfig("skew_forward_kl"), memories="never"),
        Recipe(
            "own play",
            ObjectiveConfig("reverse_kl"),
            memories="always",
            on_policy=OnPolicyConfig(play=Play(slots=2)),
        ),
        Recipe("more text", start="text"),
    )
    several = dataclasses.replace(experiment, recipes=recipes, seeds=(0,), workers=2)
    text = run_experiment(several).read_text()
    rows = collect_results([Path(several.output) / "results"])
    names = [name for r in recipes for name in (r.name, r.with_memory)]
    assert {r.subject for r in rows} >= {*names, "teacher", "no memory"}
    assert all(f"{r.name} - text " in text for r in recipes[1:])
    table = text[text.index("## Training") :]
    costs = {r.name: cost(Path(several.output) / "adapters" / r.slug / "seed0") for r in recipes}
    more = json.loads((Path(several.output) / "adapters/more-text/seed0/config.json").read_text())
    assert more["adapter"].endswith("adapters/text/seed0/adapter")
    assert costs["top-8"].target_bytes > 0 == costs["with memories"].target_bytes
    assert all(c.steps == 2 and c.seconds > 0 for c in costs.values())
    assert all(f"| {r.name} " in table for r in recipes)

    capsys.readouterr()
    assert run_experiment(several).read_text() == text


def test_a_recipe_starts_from_one_before_it(experiment):
    for recipes in ((Recipe("a", start="b"), Recipe("b")), (Recipe("a", start="a"),)):
        with pytest.raises(UserError, match=r"recipe a starts from .*, which is none before it"):
            dataclasses.replace(experiment, recipes=recipes)


def test_another_step_count_is_refused(experiment):
    other = dataclasses.replace(experiment.train, steps=3)
    with pytest.raises(UserError, match="steps"):
        run_experiment(dataclasses.replace(experiment, train=other))
