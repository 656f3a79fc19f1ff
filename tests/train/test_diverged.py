"""A loss that is no longer a number stops the run; nothing of it is exported or chosen."""

import jax
import pytest
from written import records

from duomem_jax.base.errors import UserError
from duomem_jax.train.config import load_config
from duomem_jax.train.plan import plan
from duomem_jax.train.run import open_run, run


def senseless(config_file, *overrides, **values):
    """A config with values of the optimizer that its own check refuses."""
    config = load_config(str(config_file), overrides)
    for name, value in values.items():
        object.__setattr__(config.optimizer, name, value)
    return config


HUGE = {"learning_rate": 1e38, "warmup_steps": 0}


def test_a_diverged_run_stops_and_keeps_the_last_good_checkpoint(config_file, tmp_path):
    config = senseless(config_file, "--log-every", "1", "--checkpoint-every", "1", **HUGE)
    with pytest.raises(UserError, match=r"^step 2: loss is ") as error:
        run(config)
    out = tmp_path / "out"
    assert f"the last good checkpoint is step 1 in {out}/checkpoints" in str(error.value)
    assert "lower optimizer.learning_rate" in str(error.value)
    assert [path.name for path in (out / "checkpoints").iterdir() if path.is_dir()] == ["1"]
    assert not (out / "adapter").exists()
    assert [row["step"] for row in records(out)] == [1]


def test_divergence_before_the_first_checkpoint_says_so(config_file):
    with pytest.raises(UserError, match="no checkpoint was saved before"):
        run(senseless(config_file, **HUGE))


def test_weights_that_are_not_finite_are_never_saved(config_file, tmp_path):
    """The loss of a step says nothing of the weights after it."""
    config = senseless(config_file, "--steps", "1", clip=float("nan"))
    with pytest.raises(UserError, match="step 1: the trained weights are not finite"):
        run(config)
    assert not any((tmp_path / "out" / "checkpoints").glob("[0-9]*"))


def test_a_checkpoint_with_a_nan_loss_is_never_the_best(config_file):
    with open_run(plan(load_config(str(config_file)))) as opened:
        for step, loss in ((1, float("nan")), (2, 2.0), (3, 3.0)):
            opened.saver.save(step, jax.tree.map(lambda x: x, opened.state), loss)
        opened.saver.wait()
        assert opened.saver.best() == 2


def test_an_error_within_a_run_leaves_nothing_half_written(config_file, tmp_path):
    with pytest.raises(UserError, match="told"), open_run(plan(load_config(str(config_file)))):
        raise UserError("told")
    assert not list((tmp_path / "out" / "checkpoints").glob("*tmp*"))
