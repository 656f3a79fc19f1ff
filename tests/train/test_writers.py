"""TensorBoard's and W&B's own files hold what metrics.jsonl holds."""

import json
import struct
import sys

import pytest

import train
from duomem_jax.base.errors import UserError
from duomem_jax.train.watch.writers import JsonLines, open_writers


def test_records_after_the_checkpoint_are_dropped_on_restart(tmp_path):
    path = tmp_path / "m.jsonl"
    path.write_text('{"step": 2}\n{"step": 4}\n{"step": 6}\n{"st')
    JsonLines(path, start=4).write(6, {"loss": 1.5})
    assert path.read_text() == '{"step": 2}\n{"step": 4}\n{"step": 6, "loss": 1.5}\n'


def events_of(file):
    """Events of a file of records: length, its checksum, content, its checksum."""
    from tensorboardX.proto.event_pb2 import Event

    content = file.read_bytes()
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        yield Event.FromString(content[12 : 12 + length])
        content = content[16 + length :]


def test_tensorboard_shows_what_the_file_says(config_file, tmp_path):
    pytest.importorskip("tensorboardX")
    args = ["--steps", "4", "--log-every", "2", "--writers", "tensorboard"]
    assert train.main(["--config", str(config_file), *args]) == 0
    (file,) = (tmp_path / "out" / "tensorboard").iterdir()
    shown = {
        (event.step, value.tag): value.simple_value
        for event in events_of(file)
        for value in event.summary.value
    }
    wanted = {}
    for line in (tmp_path / "out" / "metrics.jsonl").read_text().splitlines():
        record = json.loads(line)
        wanted |= {(record["step"], name): x for name, x in record.items() if name != "step"}
    assert shown == pytest.approx(wanted, rel=1e-6)


def test_wandb_keeps_the_run_offline(tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="W&B is heavy: pip install wandb to run this")
    monkeypatch.setenv("WANDB_MODE", "offline")
    writers = open_writers(("wandb",), tmp_path, 0, {"steps": 2})
    for writer in writers:
        writer.write(2, {"loss": 0.25})
        writer.close()
    (log,) = tmp_path.glob("wandb/offline-run-*/*.wandb")
    assert b"loss" in log.read_bytes()


def test_a_missing_package_names_its_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(UserError, match=r"pip install duomem-jax\[tensorboard\]"):
        open_writers(("tensorboard",), tmp_path, 0, {})
