"""The whole command: what it learns, what it leaves, and how it continues after a kill."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings

import jax
import numpy as np
import pytest
from tiny_run import STEPS
from written import adapter, assert_same, records

import train
from duomem_jax.lora.peft import load_adapter
from duomem_jax.mesh.compile_cache import keep_compiled
from duomem_jax.models.hf import fingerprint
from duomem_jax.models.load import load_pretrained
from duomem_jax.models.model import Model
from duomem_jax.train.watch.goodput import KINDS


def run(config_file, *overrides):
    return train.main(["--config", str(config_file), *map(str, overrides)])


def test_a_run_reduces_the_loss_and_writes_metrics(done):
    _, out = done
    rows = records(out)
    assert [row["step"] for row in rows] == [10, STEPS]
    assert rows[-1]["loss"] < rows[0]["loss"] - 0.05
    assert {"grad_norm", "tokens", "loss_tokens", "learning_rate", "tokens_per_s"} < rows[0].keys()
    spent = [row[f"{kind}_seconds"] for row in rows for kind in KINDS if kind != "init"]
    assert sum(spent) == pytest.approx(sum(row["seconds"] for row in rows), rel=1e-4)
    assert rows[0]["tokens"] == 8 * 32


def test_the_adapter_is_usable_and_knows_its_base(done, base_folder):
    _, out = done
    config, _ = load_pretrained(base_folder)
    lora, found = load_adapter(out / "adapter", Model(config), fingerprint(base_folder))
    assert found.rank == 2
    assert any(np.any(x) for x in jax.tree.leaves(lora))
    notes = json.loads((out / "adapter" / "duomem.json").read_text())
    resolved = json.loads((out / "config.json").read_text())
    made_from = resolved.pop("made_from")
    assert notes["config"] == resolved
    assert made_from == {
        "base": notes["base_fingerprint"],
        "data": notes["rows"]["content"],
    }


def test_checkpoints_hold_the_small_state_and_its_description(done, base_folder):
    from orbax.checkpoint import v1 as ocp

    _, out = done
    assert sorted(p.name for p in (out / "checkpoints").iterdir()) == [str(STEPS - 5), str(STEPS)]
    with warnings.catch_warnings(), ocp.training.Checkpointer(out / "checkpoints") as saved:
        warnings.simplefilter("ignore")  # that no sharding is asked for
        state = saved.load_checkpointables(None)["state"]
        notes = saved.metadata().custom_metadata
    assert set(state) == {"step", "lora", "opt_state", "rng", "checksum"}
    assert (notes["rank"], notes["alpha"], notes["base"]) == (2, 4.0, str(base_folder))
    assert notes["base_fingerprint"] == fingerprint(base_folder)
    assert notes["config"]["steps"] == STEPS


def test_a_killed_and_restarted_run_ends_with_the_same_adapter(done, tmp_path):
    """SIGKILL in the middle of a step, then the same command again."""
    config_file, reference = done
    out = tmp_path / "out"
    command = [sys.executable, train.__file__, "--config", str(config_file), "--output", str(out)]
    slow = {**os.environ, "PYTHONPATH": os.getcwd()}
    process = subprocess.Popen([*command, "--log-every", "1"], env=slow, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (out / "checkpoints" / "5").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (out / "adapter").exists()
    assert run(config_file, "--output", out) == 0
    assert_same(adapter(out), adapter(reference))
    steps = [row["step"] for row in records(out)]
    assert steps == sorted(set(steps))
    assert steps[-1] == STEPS


def test_a_finished_run_started_again_changes_nothing(done):
    config_file, out = done
    before, rows = adapter(out), records(out)
    assert run(config_file) == 0
    assert_same(adapter(out), before)
    assert records(out) == rows


def test_a_checkpoint_opens_on_another_mesh(done):
    config_file, out = done
    before = adapter(out)
    assert run(config_file, "--mesh.data", 4, "--mesh.tensor", 2) == 0
    assert_same(adapter(out), before)


def test_bfloat16_with_recomputed_layers(done, config_file, tmp_path):
    assert run(config_file, "--dtype", "bfloat16", "--remat", "--steps", 2, "--log_every", 1) == 0
    exact = records(done[1])[0]["loss"]
    assert records(tmp_path / "out")[0]["loss"] == pytest.approx(exact, abs=0.1)
    assert {x.dtype for x in adapter(tmp_path / "out").values()} == {np.dtype(np.float32)}


def test_training_all_parameters_opens_in_transformers(config_file, tmp_path, base_folder):
    pytest.importorskip("torch")
    from transformers import AutoModelForCausalLM

    base = tmp_path / "base"
    shutil.copytree(base_folder, base)
    config = json.loads((base / "config.json").read_text()) | {"eos_token_id": [3, 5]}
    (base / "config.json").write_text(json.dumps(config))
    args = ["--trainable", "all", "--optimizer.name", "muon", "--steps", 4]
    assert run(config_file, "--base", base, *args) == 0
    AutoModelForCausalLM.from_pretrained(tmp_path / "out" / "model")
    tokenizer = (tmp_path / "out" / "model" / "tokenizer.json").read_text()
    assert tokenizer == (base_folder / "tokenizer.json").read_text()
    # What our own reader has no use for is kept for those of others.
    assert json.loads((tmp_path / "out" / "model" / "config.json").read_text()) == config


def test_starting_from_an_adapter(done, config_file, tmp_path):
    _, out = done
    assert run(config_file, "--adapter", out / "adapter") == 0
    assert records(tmp_path / "out")[0]["loss"] < records(out)[0]["loss"]


def test_a_trace_of_chosen_steps(config_file, tmp_path):
    assert run(config_file, "--steps", 6, "--profile", 2, 3) == 0
    out = tmp_path / "out"
    (trace,) = (out / "profile").rglob("*.xplane.pb")
    assert b"train" in trace.read_bytes()
    # As after a kill before the first checkpoint: these steps are done again, the trace is kept.
    shutil.rmtree(out / "checkpoints")
    shutil.rmtree(out / "adapter")
    assert run(config_file, "--steps", 6, "--profile", 2, 3) == 0
    assert [*(out / "profile").rglob("*.xplane.pb")] == [trace]


def test_compiled_programs_are_kept_where_the_user_keeps_such_things(tmp_path, monkeypatch):
    before = jax.config.jax_compilation_cache_dir
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", "")
    keep_compiled()
    assert jax.config.jax_compilation_cache_dir == before
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    try:
        keep_compiled()
        assert jax.config.jax_compilation_cache_dir == str(tmp_path / "duomem_jax" / "compiled")
        assert os.environ["JAX_COMPILATION_CACHE_DIR"] == jax.config.jax_compilation_cache_dir
    finally:
        jax.config.update("jax_compilation_cache_dir", before)
