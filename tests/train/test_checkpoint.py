"""What a checkpoint survives: any file of the latest one missing, cut short or changed."""

import shutil

import jax
import numpy as np
import optax
import pytest

from duomem_jax.base.errors import UserError
from duomem_jax.train.state.checkpoint import Checkpoints
from duomem_jax.train.state.state import new_state

NOTES = {"base": "b", "base_fingerprint": "f"}


def state_at(step):
    rng = np.random.default_rng(step)
    params = {"a": rng.normal(size=(64, 64)).astype(np.float32), "b": rng.normal(size=3)}
    state = jax.tree.map(jax.numpy.asarray, new_state(optax.adamw(1e-3), params))
    return jax.tree.map(lambda x: x, type(state)(**(vars(state) | {"step": jax.numpy.int32(step)})))


def shardings_of(state):
    return jax.tree.map(lambda x: x.sharding, state)


def open_checkpoints(folder):
    return Checkpoints(folder, "lora", 5, NOTES)


def restore(folder):
    """What is restored, and the steps that are left then."""
    saver, like = open_checkpoints(folder), state_at(0)
    try:
        return saver.restore(like, shardings_of(like))
    finally:
        saver.close()


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """A folder with checkpoints of steps 5 and 10."""
    folder = tmp_path_factory.mktemp("saved") / "checkpoints"
    saver = open_checkpoints(folder)
    for step in (5, 10):
        saver.save(step, state_at(step))
    saver.close()
    return folder


def remove(file):
    file.unlink()


def cut(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def change(file):
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0x10
    file.write_bytes(content)


@pytest.mark.parametrize("damage", [remove, cut, change])
def test_any_damaged_file_costs_one_checkpoint_at_most(saved, tmp_path, caplog, damage):
    files = sorted(p.relative_to(saved) for p in (saved / "10").rglob("*") if p.is_file())
    assert len(files) > 5
    lost = 0
    for i, file in enumerate(files):
        folder = tmp_path / str(i)
        shutil.copytree(saved, folder)
        damage(folder / file)
        caplog.clear()
        state = restore(folder)
        wanted = state_at(int(state.step))
        jax.tree.map(np.testing.assert_array_equal, state, wanted)
        if state.step == 5:
            lost += 1
            assert f"{folder / '10'}: damaged, omitted" in caplog.text
            assert not (folder / "10").exists()
    assert lost


def test_unreadable_checkpoints_are_refused_and_kept(saved, tmp_path):
    folder = tmp_path / "checkpoints"
    shutil.copytree(saved, folder)
    for step in ("5", "10"):
        shutil.rmtree(folder / step / "state")
    with pytest.raises(UserError, match="no checkpoint can be read"):
        restore(folder)
    assert {p.name for p in folder.iterdir()} == {"5", "10"}


def test_the_best_of_held_out_rows_is_kept(tmp_path):
    saver = open_checkpoints(tmp_path / "checkpoints")
    losses = {5: 0.9, 10: 0.4, 15: 0.6, 20: 0.7, 25: 0.8}
    for step, loss in losses.items():
        saver.save(step, state_at(step), loss)
    saver.close()
    assert {p.name for p in (tmp_path / "checkpoints").iterdir()} == {"10", "20", "25"}
    again = open_checkpoints(tmp_path / "checkpoints")
    assert again.best() == 10
    again.close()


def test_without_losses_the_latest_two_are_kept(tmp_path):
    saver = open_checkpoints(tmp_path / "checkpoints")
    for step in (5, 10, 15):
        saver.save(step, state_at(step))
    assert saver.best() is None
    saver.close()
    assert {p.name for p in (tmp_path / "checkpoints").iterdir()} == {"10", "15"}
