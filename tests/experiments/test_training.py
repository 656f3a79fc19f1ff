"""The rows that adapters of an experiment are trained on."""

import dataclasses

import pytest

from duomem_jax.base.errors import UserError
from duomem_jax.data.facts import RowFacts
from duomem_jax.experiments.experiment import TEACHER
from duomem_jax.experiments.recipe import Recipe
from duomem_jax.experiments.run import remember
from duomem_jax.experiments.training import plan_trainings, train_adapter
from duomem_jax.objectives.config import ObjectiveConfig

ALM = ObjectiveConfig("alm", temperature=10.0)


def test_a_teacher_with_another_tokenizer_reads_its_own_tokens(
    tmp_path, small_experiment, other_teacher
):
    recipes = (Recipe("text"), Recipe("chunks", ALM, memories="never"))
    small = small_experiment(tmp_path, train=(4, 1), test=(1, 9), recipes=recipes, max_steps=20)
    played = remember(small, "teacher", small.player(TEACHER), small.train_games)
    e = dataclasses.replace(
        small,
        teacher=other_teacher,
        examples=dataclasses.replace(small.examples, teacher_length=4096),
    )
    text, chunks = plan_trainings(e, played)
    rows, aligned = (RowFacts.read(t.config.data) for t in (text, chunks))
    assert (text.config.teacher, chunks.config.teacher) == ("", other_teacher)
    assert (rows.aligned, aligned.aligned) == (False, True)
    assert rows.counts["examples"] == aligned.counts["examples"] == played.won
    assert train_adapter(chunks.config) == chunks.adapter


def test_a_teacher_with_another_tokenizer_reads_no_memories_of_the_students():
    with pytest.raises(UserError, match=r"recipe chunks: .* set memories to always or never"):
        Recipe("chunks", ALM)
