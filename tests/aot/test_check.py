"""`duomem compile-check` on eight fake devices, and on libtpu where there is one."""

import dataclasses
import json
import os
from pathlib import Path

import jax
import pytest
from seeing import MODELS

from duomem_jax import cli
from duomem_jax.aot.check import check
from duomem_jax.aot.steps import RowSizes, lower_train
from duomem_jax.aot.text import compiled_text
from duomem_jax.aot.topology import compile_devices, parse_topology
from duomem_jax.base.errors import UserError
from duomem_jax.mesh.config import MeshConfig
from duomem_jax.models.config import ModelConfig
from duomem_jax.models.families import FAMILIES
from duomem_jax.models.lora import LoraConfig
from duomem_jax.objectives.config import ObjectiveConfig
from duomem_jax.train.config import TrainConfig
from duomem_jax.train.plan import sketch

SHAPE = ModelConfig("qwen3", 512, 64, 3, 4, 2, 16, 128)
ROWS = RowSizes(64, 32, 4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model without weights."""
    path = tmp_path_factory.mktemp("model")
    (path / "config.json").write_text(json.dumps(FAMILIES["qwen3"].to_hf(SHAPE)))
    return str(path)


def config_of(folder, **changes):
    lora = LoraConfig(rank=4)
    mesh = MeshConfig(fsdp=8)
    return TrainConfig(folder, "", "", lora=lora, mesh=mesh, global_batch=16, remat=True, **changes)


@pytest.fixture(scope="module")
def found(folder):
    config = config_of(folder, objective=ObjectiveConfig("forward_kl"))
    topology = parse_topology("v5e-8")
    return check(config, topology, jax.devices(), ROWS, ("train", "decode"))


def test_check_gathers_kernels_once_a_pass_and_never_sums_them(found):
    kernels = SHAPE.n_layers * 64 * ((4 + 2 * 2 + 4) * 16 + 3 * 128)
    head = 512 * 64
    train = found.steps[0].cost.traffic
    gathered = train["all-gather"].received / (4 * 7 / 8)  # of all chips, in numbers
    assert kernels < gathered < 1.2 * (3 * kernels + head)  # with remat, and adapters
    # The base is frozen: what is summed up over chips is gradients of a layer's adapters.
    assert train["all-reduce"].largest < 4 * kernels / SHAPE.n_layers
    assert set(train) == {"all-gather", "all-reduce"}


def test_a_teacher_that_is_the_students_base_is_held_once(folder):
    config = config_of(folder, objective=ObjectiveConfig("forward_kl"), teacher=folder)
    (_, frozen, _), _ = lower_train(sketch(config, jax.devices()), ROWS).args_info
    assert len(jax.tree.leaves(frozen)) == len(jax.tree.leaves(frozen.base))


def test_check_never_rematerializes_whole_arrays(folder, capfd):
    config = dataclasses.replace(config_of(folder), mesh=MeshConfig(2, 2, 2))
    found = check(config, parse_topology("v5e-8"), jax.devices(), ROWS, ("train", "decode"))
    assert found.rows.candidates == 0  # text has no stored targets
    assert "nvoluntary full rematerialization" not in capfd.readouterr().err


def test_check_arguments_are_the_share_of_a_chip(found):
    train, decode = found.steps
    base = 4 * (SHAPE.n_layers * 64 * ((4 + 2 * 2 + 4) * 16 + 3 * 128) + 512 * 64)
    state = 3 * 4 * 4 * SHAPE.n_layers * (4 * 64 + 64 + 2 * 96 + 3 * (64 + 128))
    assert base / 8 < train.arguments < base / 8 + state  # of which a chip holds less, and its rows
    cache = 4 * SHAPE.n_layers * 2 * (16 // 8) * 2 * 64 * 16
    assert base / 8 + cache < decode.arguments < base / 4 + cache
    assert 0 < train.mfu < 1
    assert decode.mfu is None


def test_compiled_text_names_mesh_rows_and_steps(found):
    text = compiled_text(found)
    assert "on v5e:2x4, mesh data 1, fsdp 8, tensor 1; 16 rows of 64 tokens, 32 of them" in text
    assert "| train " in text
    assert "| train: all-gather" in text
    assert json.loads(json.dumps(found.to_dict()))["steps"][1]["name"] == "decode"


def test_check_refuses_objectives_on_chunks(folder):
    config = config_of(folder, objective=ObjectiveConfig("alm"))
    with pytest.raises(UserError, match="taken to be of one tokenizer"):
        check(config, parse_topology("v5e-8"), jax.devices(), ROWS, ("train",))


def test_compile_check_without_libtpu_says_how_to_get_it(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TPU_LIBRARY_PATH", str(tmp_path / "libtpu.so"))
    args = ["compile-check", "configs/qwen3_4b.py", "--topology", "v5e-8", "--model", folder]
    monkeypatch.chdir(Path(__file__).parents[2])
    with pytest.raises(SystemExit, match="2"):
        cli.main(args)
    error = capsys.readouterr().err
    assert "install duomem-jax[tpu]" in error
    assert error.count("\n") == 1


@pytest.mark.slow
def test_compile_check_on_libtpu(folder, monkeypatch, capfd):
    try:
        compile_devices(parse_topology("v5e-4"))
    except UserError as e:
        pytest.skip(f"{e}, or set TPU_LIBRARY_PATH to libtpu.so")
    monkeypatch.chdir(Path(__file__).parents[2])
    fields = ["--fields", "global-batch=8", "mesh.fsdp=2"]
    args = ["--topology", "v5e-4", "--model", folder, "--length", "128", *fields]
    cli.main(["compile-check", "configs/qwen3_4b.py", *args, "--json"])
    out, err = capfd.readouterr()
    train, decode = json.loads(out)["steps"]
    assert 0.99 < train["free"] < 1
    assert train["cost"]["endless"] == decode["cost"]["endless"] == 0
    assert 0 < train["mfu"] < 1
    assert "nvoluntary full rematerialization" not in err
    assert os.environ["JAX_PLATFORMS"] == "cpu"  # nothing here has touched a TPU


def test_a_step_on_pictures_reads_features_and_no_tower(tmp_path):
    (tmp_path / "config.json").write_text(
        json.dumps({"model_type": "smolvlm", **MODELS["smolvlm"]})
    )
    config = dataclasses.replace(config_of(str(tmp_path)), mesh=MeshConfig(data=8))
    rows = RowSizes(64, 32, 0, tiles=4)  # of 9 tokens each
    lowered = lower_train(sketch(config, jax.devices()), rows)
    (_, frozen, batch), _ = lowered.args_info
    assert batch.seen.features_BnD.shape == (16, 4 * 9, 48)
    assert batch.seen.features_BnD.dtype == "float16"
    assert set(frozen.base) == {"embedding", "layers", "norm", "head"}
    found = check(config, parse_topology("v5e-8"), jax.devices(), rows, ("train",))
    # Each chip takes the features of its own rows: only gradients of adapters are sent.
    assert set(found.steps[0].cost.traffic) == {"all-reduce"}
    assert "4 tiles of pictures" in compiled_text(found)


def test_pictures_are_for_models_that_see_and_learn_text(folder):
    rows = RowSizes(64, 32, 0, tiles=4)
    topology = parse_topology("v5e-8")
    with pytest.raises(UserError, match="a model that does not see"):
        check(config_of(folder), topology, jax.devices(), rows, ("train",))
    config = config_of(folder, objective=ObjectiveConfig("forward_kl"))
    with pytest.raises(UserError, match="a teacher is not shown pictures"):
        check(config, topology, jax.devices(), rows, ("train",))
