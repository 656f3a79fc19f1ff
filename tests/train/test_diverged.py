"""A loss that is no longer a number stops the run; nothing of it is exported or chosen."""

import jax
import numpy as np
import pytest
from written import records

import train
from duomem_jax.base.errors import UserError
from duomem_jax.train.config import load_config
from duomem_jax.train.plan import plan
from duomem_jax.train.run import open_run

HUGE = ("--optimizer.learning-rate", "1e38", "--optimizer.warmup-steps", "0", "--log-every", "1")


def test_a_diverged_run_stops_and_keeps_the_last_good_checkpoint(config_file, tmp_path, capsys):
    command = ["--config", str(config_file), *HUGE, "--checkpoint-every", "1"]
    assert train.main(command) == 2
    error = capsys.readouterr().err
    out = tmp_path / "out"
    assert error.startswith("train.py: step 2: loss is ")
    assert f"the last good checkpoint is step 1 in {out}/checkpoints" in error
    assert "lower optimizer.learning_rate" in error
    assert error.count("\n") == 1
    assert [path.name for path in (out / "checkpoints").iterdir() if path.is_dir()] == ["1"]
    assert not (out / "adapter").exists()
    assert [row["step"] for row in records(out)] == [1]


def test_divergence_before_the_first_checkpoint_says_so(config_file, capsys):
    assert train.main(["--config", str(config_file), *HUGE]) == 2
    assert "no checkpoint was saved before" in capsys.readouterr().err


def test_weights_that_are_not_finite_are_never_saved(config_file, tmp_path):
    """The loss of a step says nothing of the weights after it."""
    planned = plan(load_config(str(config_file), ["--steps", "1", "--optimizer.clip", "nan"]))
    assert np.isnan(planned.config.optimizer.clip)
    command = ["--config", str(config_file), "--steps", "1", "--optimizer.clip", "nan"]
    assert train.main(command) == 2
    assert not any((tmp_path / "out" / "checkpoints").glob("[0-9]*"))


def test_a_checkpoint_with_a_nan_loss_is_never_the_best(config_file):
    with open_run(plan(load_config(str(config_file)))) as run:
        for step, loss in ((1, float("nan")), (2, 2.0), (3, 3.0)):
            run.saver.save(step, jax.tree.map(lambda x: x, run.state), loss)
        run.saver.wait()
        assert run.saver.best() == 2


def test_an_error_within_a_run_leaves_nothing_half_written(config_file, tmp_path):
    with pytest.raises(UserError, match="told"), open_run(plan(load_config(str(config_file)))):
        raise UserError("told")
    assert not list((tmp_path / "out" / "checkpoints").glob("*tmp*"))
