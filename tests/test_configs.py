"""Every file in configs/ is read, planned, and traced with a small model."""

import dataclasses
from pathlib import Path

import jax
import pytest

from duomem_jax.aot.steps import RowSizes, lower_train
from duomem_jax.experiments.compare import load_experiment
from duomem_jax.experiments.curve import LearningCurve
from duomem_jax.experiments.drift import Drift
from duomem_jax.experiments.left_out import LeftOut
from duomem_jax.experiments.memories.experiment import MemoryExperiment
from duomem_jax.experiments.memories.folds import Lessons
from duomem_jax.experiments.training import recipe_config
from duomem_jax.experiments.written.experiment import Written
from duomem_jax.experiments.written.views import View
from duomem_jax.memory.operations.names import OPERATIONS
from duomem_jax.models.shipped import model_folder
from duomem_jax.objectives.config import ObjectiveConfig
from duomem_jax.train.config import load_config
from duomem_jax.train.plan import sketch

CONFIGS = sorted((Path(__file__).parents[1] / "configs").glob("*.py"))
SMALL, SMALL_TEACHER = (str(model_folder(f"tiny-{who}")) for who in ("student", "teacher"))


def trainings(file):
    """The runs of a config, one for each recipe."""
    if "get_experiment" not in file.read_text():
        return [load_config(str(file))]
    e = load_experiment(file)
    if isinstance(e, MemoryExperiment):
        lessons = Lessons("some", ("dialogues",), "")
        return [e.training(operation, lessons, seed=0) for operation in OPERATIONS]
    if isinstance(e, Written):
        return [e.training(View.WHOLE, seed=0)]
    if isinstance(e, Drift):
        e = e.study
    if isinstance(e, LearningCurve | LeftOut):
        e = e.experiment
    return [
        recipe_config(e, r, seed=0, rows="" if r.on_policy else "rows", memory="bank")
        for r in e.recipes
    ]


@pytest.mark.parametrize("file", CONFIGS, ids=lambda file: file.stem)
def test_every_config_traces(file, monkeypatch, tmp_path):
    monkeypatch.setenv("DUOMEM_REAL_GAMES", str(tmp_path))
    traced = set()
    for config in trainings(file):
        small = dataclasses.replace(config, base=SMALL, teacher=config.teacher and SMALL_TEACHER)
        if small.objective.on_chunks:
            # Only packed rows say what is aligned; a step on them takes what this one takes.
            small = dataclasses.replace(small, objective=ObjectiveConfig("forward_kl"))
        plan = sketch(small, jax.devices()[:1])
        if type(plan.targets) in traced:
            continue  # tests/objectives has all objectives of a kind
        traced.add(type(plan.targets))
        needs_stored = plan.targets.needs.stored
        text = lower_train(plan, RowSizes(64, 64, 8 if needs_stored else 0)).as_text()
        assert "stablehlo.while" in text, config.objective  # the loop over layers
