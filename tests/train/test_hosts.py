"""Processes of one machine as hosts of one run: same result, and what is lost when one dies."""

import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from hosts import ROOT, outcome, start_hosts
from written import adapter, assert_same

import train
from duomem_jax.base.errors import LostHostError, UserError
from duomem_jax.mesh import hosts as mesh_hosts

MESH = ["--mesh.data", 2, "--mesh.fsdp", 2]
# A host that has lost another one says so itself, or JAX ends it.
LOST = {75: "has lost another one", -signal.SIGABRT: "another task died"}
SILENCE = 60  # seconds after which none may still wait for a lost one


def finish(hosts):
    for status, _, error in outcome(hosts):
        assert status == 0, error


def steps_saved(out):
    return sorted(int(p.name) for p in (out / "checkpoints").glob("*") if p.name.isdigit())


def wait_for(path, hosts):
    deadline = time.monotonic() + 120
    while not path.exists():
        assert time.monotonic() < deadline
        assert all(host.poll() is None for host in hosts), outcome(hosts)
        time.sleep(0.002)


def test_sigterm_saves_one_step_on_all_hosts_and_another_number_continues(config_file, tmp_path):
    """Two hosts, of which one is told; then one, which has to end where an undisturbed run ends.

    The last two run in this process, which sums in another order than Gloo: hence not bit for bit,
    as below where a host is killed.
    """
    out, undisturbed = tmp_path / "out", tmp_path / "undisturbed"
    run = [*MESH, "--steps", 20, "--checkpoint-every", 20, "--log-every", 1]
    run += ["--optimizer.learning-rate", 1e-3]  # small, so that rounding stays small
    hosts = start_hosts(2, 4, config_file, *run, "--output", out)
    wait_for(out / "config.json", hosts)  # then it compiles; the word goes round meanwhile
    hosts[1].send_signal(signal.SIGTERM)
    ended = outcome(hosts)
    assert [status for status, _, _ in ended] == [75, 75], ended
    (step,) = steps_saved(out)
    assert 0 < step < 20
    assert all(f"saved at step {step}, run it again to go on" in error for _, _, error in ended)
    assert "step 1/20" in ended[0][1]
    assert "step 1/20" not in ended[1][1]
    for folder in (out, undisturbed):
        here = [config_file, *run, "--output", folder]
        assert train.main(["--config", *map(str, here)]) == 0
    ours, theirs = adapter(out), adapter(undisturbed)
    for name in theirs:
        np.testing.assert_allclose(ours[name], theirs[name], atol=1e-4, err_msg=name)


@pytest.mark.slow
def test_a_user_mistake_ends_all_hosts_with_one_sentence(config_file):
    for status, _, error in outcome(start_hosts(2, 4, config_file, "--mesh.data", 3)):
        assert status == 2
        assert "train.py: config: global_batch 8 is not a multiple" in error
        assert "Traceback" not in error


def test_a_user_mistake_is_not_taken_for_a_lost_host(monkeypatch):
    """A hub that cannot be reached says what a lost host's connection says."""
    monkeypatch.setattr(mesh_hosts, "_join", lambda: None)
    monkeypatch.setattr(mesh_hosts.jax, "process_count", lambda: 2)
    with pytest.raises(UserError, match="hub: Connection refused"), mesh_hosts.joined():
        raise UserError("hub: Connection refused")
    with pytest.raises(LostHostError), mesh_hosts.joined():
        raise RuntimeError("Connection refused")


def test_a_host_that_does_not_know_its_number_says_so(config_file):
    command = [sys.executable, train.__file__, "--config", str(config_file)]
    env = os.environ | {"PYTHONPATH": str(ROOT), "JAX_COORDINATOR_ADDRESS": "localhost:1"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "environment: JAX_NUM_PROCESSES is not set; give a number" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("count", [2, 4])
def test_any_number_of_hosts_learns_the_same_bit_for_bit(config_file, tmp_path, count):
    run = [*MESH, "--steps", 20]
    finish(start_hosts(count, 4, config_file, *run, "--output", tmp_path / "many"))
    finish(start_hosts(1, 4, config_file, *run, "--output", tmp_path / "one"))
    assert_same(adapter(tmp_path / "many"), adapter(tmp_path / "one"))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(8))
def test_a_host_killed_at_any_moment(config_file, tmp_path, seed):
    """At most the steps since the last checkpoint are lost; the next start agrees bit for bit."""
    chance = random.Random(seed)
    count, then = chance.choice([(2, 4), (4, 2), (2, 2), (4, 4), (2, 1)])
    out, reference = tmp_path / "out", tmp_path / "reference"
    run = [*MESH, "--steps", 40, "--checkpoint-every", 5, "--log-every", 1]
    hosts = start_hosts(count, 4, config_file, *run, "--output", out)
    # Half of them while a checkpoint is written, which takes longer than a step.
    wait_for(out / "checkpoints" / "5", hosts)
    if seed % 2:
        while not any((out / "checkpoints").glob("*tmp*")) and not (out / "adapter").exists():
            time.sleep(0.001)
    else:
        time.sleep(chance.uniform(0, 2))
    victim = chance.randrange(count)
    hosts[victim].kill()
    reached = max(steps_saved(out))
    killed = time.monotonic()
    for i, (status, _, error) in enumerate(outcome(hosts)):
        if i != victim:
            assert LOST[status] in error
    assert time.monotonic() - killed < SILENCE
    assert max(steps_saved(out)) >= reached
    finish(start_hosts(then, 4, config_file, *run, "--output", out))
    finish(start_hosts(1, 4, config_file, *run, "--output", reference))
    assert_same(adapter(out), adapter(reference))
