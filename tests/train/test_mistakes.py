"""Bad input: one clear sentence, status 2, no traceback, nothing half-written."""

import json
import os
import shutil
import subprocess

import jax
import numpy as np
import pytest
from counting import T, make_rows
from tiny_run import TINY, write_rows, write_tokenizer

import train
from duomem_jax.data.rows import RowFormat
from duomem_jax.lora.peft import save_adapter
from duomem_jax.models.config import ModelConfig
from duomem_jax.models.lora import LoraConfig
from duomem_jax.models.model import Model
from duomem_jax.records.store.write import DatasetSpec, ShardWriter
from duomem_jax.train.config import load_config
from duomem_jax.train.output import claimed


@pytest.fixture
def refused(config_file, tmp_path, capsys):
    """Run with overrides; return the one sentence and check that nothing was written."""

    def run(*overrides):
        before = sorted(tmp_path.rglob("*"))
        assert train.main(["--config", str(config_file), *map(str, overrides)]) == 2
        error = capsys.readouterr().err
        assert error.startswith("train.py: ")
        assert error.count("\n") == 1
        assert "Traceback" not in error
        assert sorted(tmp_path.rglob("*")) == before
        return error

    return run


def test_no_config_prints_the_usage(capsys):
    assert train.main([]) == 2
    assert "--config configs/<name>.py" in capsys.readouterr().err


def test_unknown_field_and_wrong_type(refused):
    assert "no field --lernrate" in refused("--lernrate", 3)
    assert "field --optimizer.clip cannot be 'x'; give float" in refused("--optimizer.clip", "x")


def test_missing_and_unusable_inputs(refused, tmp_path, base_folder):
    assert "none: no such folder; give a Hugging Face folder" in refused(
        "--base", tmp_path / "none"
    )
    assert "none" in refused("--data", tmp_path / "none")
    other = tmp_path / "gpt"
    other.mkdir()
    (other / "config.json").write_text(json.dumps({"model_type": "gpt9"}))
    assert "model_type is 'gpt9'; supported: qwen2" in refused("--base", other)
    assert "mesh" in refused("--mesh.data", 99)
    assert "profile is (3, 1)" in refused("--profile", 3, 1)
    assert "global_batch 9 is not a multiple" in refused("--mesh.data", 8, "--global_batch", 9)


def test_rows_of_another_tokenizer_are_refused(refused, tmp_path):
    """Also where every id exists in the model: the numbers mean other words."""
    other = tmp_path / "other"
    other.mkdir()
    write_tokenizer(other, first=100)
    rows = write_rows(tmp_path / "rows", make_rows(8), other)
    remedy = "pack the rows with the tokenizer of field base"
    assert remedy in refused("--data", rows)
    assert remedy in refused("--validation", rows)


def test_rows_that_do_not_name_their_tokenizer_are_refused(refused, tmp_path):
    with ShardWriter(tmp_path / "rows", DatasetSpec("examples", RowFormat(T).layout())) as writer:
        writer.add("0", list(make_rows(8)))
        writer.finish()
    assert "does not say 'length' of its rows" in refused("--data", tmp_path / "rows")


@pytest.mark.parametrize("wrong", [TINY.vocab_size, -1])
def test_an_id_that_the_model_lacks_is_refused_in_any_batch(config_file, tmp_path, capsys, wrong):
    rows = list(make_rows(64))
    rows[37]["tokens"][5] = wrong
    folder = write_rows(tmp_path / "rows", rows, base_folder_of(config_file))
    assert train.main(["--config", str(config_file), "--data", str(folder)]) == 2
    error = capsys.readouterr().err
    assert f"{folder}: a row holds the token id {wrong}, and the model has 64 tokens" in error
    assert not (tmp_path / "out/adapter").exists()


def test_conversations_longer_than_the_model_was_made_for_are_told(
    config_file, tmp_path, base_folder, capsys
):
    short = tmp_path / "short"
    shutil.copytree(base_folder, short)
    config = json.loads((short / "config.json").read_text())
    (short / "config.json").write_text(json.dumps(config | {"max_position_embeddings": 16}))
    run = ["--config", str(config_file), "--base", str(short), "--steps", "2"]
    assert train.main(run) == 0
    told = capsys.readouterr().out
    assert told.count("tokens, where the model was made for 16") == 1  # though each batch has some


def test_adapter_for_another_base_or_shape(refused, tmp_path):
    config = ModelConfig("qwen3", 64, 32, 2, 4, 2, 8, 48)
    lora = LoraConfig(rank=2, alpha=4.0, targets=("q_proj", "v_proj", "down_proj"))
    tree = jax.tree.map(lambda x: np.zeros(x.shape), Model(config, lora).shapes()["lora"])
    save_adapter(tmp_path / "a", tree, lora, "0" * 64, base_name="other")
    assert "use the base the adapter was trained on" in refused("--adapter", tmp_path / "a")
    (tmp_path / "a" / "duomem.json").unlink()
    error = refused("--adapter", tmp_path / "a", "--lora.alpha", 9)
    assert "not the adapter that field lora describes" in error


def test_output_of_another_config_or_of_something_else(refused, tmp_path, config_file):
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("precious")
    assert "not empty" in refused()
    (out / "thesis.txt").unlink()
    with claimed(load_config(str(config_file))):
        pass
    error = refused("--steps", 2, "--seed", 3)
    assert f"{out}/config.json: the folder belongs to a run with another seed, steps" in error
    assert "choose another output folder" in error


def test_a_folder_that_another_process_writes_is_refused(config_file, tmp_path, capsys):
    """Two runs of one command: the second one must not add to the records of the first."""
    with claimed(load_config(str(config_file))):
        assert train.main(["--config", str(config_file)]) == 2
        error = capsys.readouterr().err
        assert (
            f"{tmp_path / 'out'}: another process is writing this (process {os.getpid()} on"
            in error
        )
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["config.json"]


def test_a_run_goes_on_only_with_what_it_began_with(config_file, data_folder, tmp_path, capsys):
    """By content: rows that changed are refused, the same ones at another path are not."""
    rows = tmp_path / "rows"
    shutil.copytree(data_folder, rows)
    run = ["--config", str(config_file), "--data", str(rows)]
    with claimed(load_config(str(config_file), run[2:])):
        pass
    other = list(make_rows(64))
    other[3]["tokens"][0] += 1
    shutil.rmtree(rows)
    write_rows(rows, other, base_folder_of(config_file))
    assert train.main(run) == 2
    assert "a run with another content of data; choose" in capsys.readouterr().err
    shutil.copytree(data_folder, tmp_path / "moved")
    same = load_config(str(config_file), ["--data", str(tmp_path / "rows/../moved")])
    with claimed(same):
        pass


def base_folder_of(config_file):
    return load_config(str(config_file)).base


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 300 kB, where the system lets us have one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=300k", "none", str(folder)]
    if os.geteuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("free", [2, 40], ids=["at-the-start", "at-a-checkpoint"])
def test_full_disk(config_file, small_disk, capsys, free):
    (small_disk / "filler").write_bytes(b"x" * (300 - free) * 1024)
    out = small_disk / "out"
    args = ["--config", str(config_file), "--output", str(out)]
    assert train.main(args) == 2
    error = capsys.readouterr().err
    assert "the disk is full; free some space" in error
    assert error.count("\n") == 1
    left = {p.name for p in out.rglob("*")} if out.exists() else set()
    assert left <= {"config.json", "checkpoints", "metrics.jsonl"}
