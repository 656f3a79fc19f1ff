"""What lies at a path, told for messages."""

import json

import pytest

from duomem_jax.base.folder import claim_folder
from duomem_jax.models.shipped import model_folder
from duomem_jax.records.there import instead, there


def test_each_kind_is_told_by_its_files(played, done, tmp_path):
    claim_folder(tmp_path / "audit", "an audit")
    (tmp_path / "file").write_text("x")
    run = done[1]
    for path, words in {
        played / "episodes": "a dataset of episodes",
        played / "games": "a folder of generated games",
        model_folder("tiny-student"): "a model of the kind 'qwen3'",
        run: f"a run of train.py, whose adapter is in {run / 'adapter'}",
        run / "adapter": "a PEFT adapter",
        tmp_path / "audit": "an audit",
        tmp_path / "file": "a file",
        tmp_path / "nowhere": "nothing",
    }.items():
        assert there(path) == words
    assert instead(run, "a cat") == f"a cat is wanted, and there is {there(run)}"


@pytest.mark.parametrize("content", ["", "[]", "{", '{"name": 3}', "[" * 9999])
def test_damaged_files_are_no_reason_to_fail(tmp_path, content):
    for name in ("manifest.json", "config.json", ".duomem.json"):
        (tmp_path / name).write_text(content)
    assert there(tmp_path).startswith("a dataset of ")


def test_other_folders_are_told_by_a_few_names(tmp_path):
    assert there(tmp_path) == "an empty folder"
    for name in "abcdef":
        (tmp_path / name).write_text("")
    assert there(tmp_path) == "a folder with a, b, c, d and 2 more"
    (tmp_path / "generation_config.json").write_text(json.dumps({"model_type": "x"}))
    assert there(tmp_path) == "a folder with a, b, c, d and 3 more"
