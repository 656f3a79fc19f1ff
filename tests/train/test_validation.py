"""The loss on held-out rows: what it is, and what it decides."""

import json

import pytest
from counting import make_rows
from safetensors.numpy import load_file
from tiny_run import STEPS, write_rows
from written import records

import train


def run(config_file, *overrides):
    assert train.main(["--config", str(config_file), *map(str, overrides)]) == 0


def test_the_loss_is_the_mean_over_all_rows_each_once(config_file, data_folder, tmp_path):
    """Next to nothing is learnt: the loss of an epoch of training is that of the same rows."""
    still = ["--optimizer.learning-rate", 1e-12, "--steps", 8, "--checkpoint-every", 8]
    run(config_file, *still, "--log-every", 8, "--output", tmp_path / "epoch")
    wanted = records(tmp_path / "epoch")[-1]["loss"]
    for batch in (8, 24):  # 24 does not divide the rows
        out = tmp_path / f"validated by {batch}"
        again = ("--validation", data_folder, "--global-batch", batch, "--output", out)
        run(config_file, *still, *again)
        assert records(out)[-1]["validation_loss"] == pytest.approx(wanted, rel=1e-5)


@pytest.fixture(scope="module")
def other_rows(tmp_path_factory, base_folder):
    """Rows that count downwards."""
    rows = [row | {"tokens": row["tokens"][::-1].copy()} for row in make_rows(8)]
    return write_rows(tmp_path_factory.mktemp("other") / "examples", rows, base_folder)


def test_the_best_checkpoint_is_exported_and_a_second_run_agrees(
    config_file, done, other_rows, tmp_path
):
    """Counting upwards, learnt with a high rate, makes counting downwards ever less likely."""
    out = tmp_path / "out"
    run(config_file, "--validation", other_rows)
    losses = {r["step"]: r["validation_loss"] for r in records(out) if "validation_loss" in r}
    best = min(losses, key=losses.__getitem__)
    notes = json.loads((out / "adapter" / "duomem.json").read_text())
    assert notes["step"] <= best < STEPS
    assert str(notes["step"]) in {p.name for p in (out / "checkpoints").iterdir()}
    kept = load_file(out / "adapter" / "adapter_model.safetensors")
    run(config_file, "--validation", other_rows)
    again = load_file(out / "adapter" / "adapter_model.safetensors")
    assert all((kept[name] == again[name]).all() for name in kept)
    _, without = done  # the same run, of which the last step is exported
    last = load_file(without / "adapter" / "adapter_model.safetensors")
    assert any((kept[name] != last[name]).any() for name in kept)


def test_training_ends_early_where_nothing_becomes_better_and_stays_ended(
    config_file, other_rows, tmp_path
):
    """The loss on rows that count downwards only grows."""
    out = tmp_path / "out"
    often = ["--validation", other_rows, "--checkpoint-every", 1, "--patience", 2]
    often += ["--output", out, "--log-every", 100]
    run(config_file, *often)
    (only,) = records(out)  # of the steps since the start, though fewer than a hundred
    assert only["step"] < STEPS
    notes = json.loads((out / "adapter" / "duomem.json").read_text())
    assert notes["step"] == only["step"] - 2
    before = (out / "metrics.jsonl").read_bytes()
    run(config_file, *often)
    assert (out / "metrics.jsonl").read_bytes() == before


def test_patience_without_validation_rows_is_refused(config_file, capsys):
    assert train.main(["--config", str(config_file), "--patience", "2"]) == 2
    assert "give validation rows" in capsys.readouterr().err
