"""Each step of a slice's life: the exact command, and what really happens on the fake hosts."""

import os
import shlex
import signal

import pytest
from fake_cloud import ENV, TRAIN, until
from fake_gcloud import processes

WHERE = ["--project=my-project", "--zone=us-west4-a"]
QUEUED = ["gcloud", "compute", "tpus", "queued-resources"]
UP = ("upload", "create", "setup")
BEFORE = {"wait": ("create",), "state": ("create",), "setup": UP[:2]}  # the steps it needs
BEFORE |= {"launch": UP, "status": UP, "stop": UP}
STEPS = ("upload", "create", "wait", "state", "setup", "launch", "status", "logs", "stop", "delete")


def test_create_wait_and_delete(cloud):
    cloud.bring_up("create", "wait", "delete")
    create, describe, delete = cloud.calls()
    assert create == [
        *(*QUEUED, "create", "my-run", "--node-id=my-run", *WHERE, "--quiet"),
        *("--accelerator-type=v5litepod-8", "--runtime-version=v2-alpha-tpuv5-lite", "--spot"),
    ]
    shown = "--format=value(state.state,state.failedData.error.message)"
    assert describe == [*QUEUED, "describe", "my-run", *WHERE, shown]
    assert delete == [*QUEUED, "delete", "my-run", *WHERE, "--force", "--quiet"]
    assert cloud.slices() == []


def test_on_demand_with_an_account(cloud):
    text = ENV.replace("(--spot)", "()").replace("ACCOUNT=", "ACCOUNT=me@example.com")
    assert cloud.run("slice.sh", "create", cloud.env(text)).returncode == 0
    (create,) = cloud.calls()
    assert create[-2:] == [
        "--runtime-version=v2-alpha-tpuv5-lite",
        "--service-account=me@example.com",
    ]


def test_a_run_by_hand(cloud):
    """From nothing to trained: every host gets the inputs and exactly the arguments of WORK."""
    cloud.bring_up("upload", "create", "setup")
    assert cloud.words() == ["ready", "ready"]
    cloud.bring_up("launch")
    until(lambda: cloud.words() == ["exited:0", "exited:0"])
    for host in (0, 1):
        (start,) = cloud.starts(host)
        assert start["args"] == TRAIN
        copied = cloud.world / f"slices/my-run/host{host}/duomem/inputs/examples/rows"
        assert copied.read_text() == "rows"
    assert list((cloud.world / "bucket/my-bucket/logs/my-run").glob("*.log"))


def test_a_second_launch_does_nothing(cloud):
    cloud.plan("last")
    cloud.bring_up("upload", "create", "setup", "launch")
    assert cloud.slice("launch").stdout.split() == ["already", "running"] * 2
    until(lambda: cloud.starts(0) and cloud.starts(1))
    assert [len(cloud.starts(host)) for host in (0, 1)] == [1, 1]


def test_set_up_leaves_a_running_host_alone(cloud):
    cloud.plan("last")
    cloud.bring_up("upload", "create", "setup", "launch")
    assert cloud.slice("setup").returncode == 75
    assert cloud.words() == ["running", "running"]


def test_a_killed_run_is_started_again(cloud):
    """Nothing that it leaves behind passes for a run: the lock goes with the process."""
    cloud.plan("last")
    cloud.bring_up("upload", "create", "setup", "launch")
    until(lambda: cloud.starts(0) and cloud.starts(1))
    for pid in processes(cloud.world / "slices/my-run/host0"):
        os.kill(pid, signal.SIGKILL)
    until(lambda: cloud.words() == ["ready", "running"])
    assert cloud.slice("launch").stdout.split() == ["launched", "already", "running"]
    until(lambda: [len(cloud.starts(host)) for host in (0, 1)] == [2, 1])


def test_stop_saves_first(cloud):
    cloud.plan("last")
    cloud.bring_up("upload", "create", "setup", "launch", "stop")
    assert cloud.words() == ["stopped", "stopped"]
    assert cloud.slice("stop").stdout.split() == ["not", "running"] * 2


def test_dropped_connections_are_tried_again(cloud):
    cloud.bring_up("upload", "create")
    dropped = {"call": "ssh", "times": 2, "status": 255, "stderr": "client_loop: Broken pipe"}
    cloud.faults(dropped)
    cloud.bring_up("setup")
    assert cloud.slept() == ["60", "60"]
    cloud.faults(dropped | {"times": 99})
    assert cloud.slice("launch").returncode == 75


@pytest.mark.parametrize(
    ("stderr", "status", "sentence"),
    [
        (
            "ERROR: (gcloud.compute.tpus.queued-resources.create) RESOURCE_EXHAUSTED: Quota limit "
            "'TPUV5sPreemptibleLitepodPerProjectPerZoneForTPUAPI' has been exceeded. Limit: 0",
            2,
            "slice.sh: no quota for v5litepod-8 in us-west4-a; ask for it or take another zone",
        ),
        (
            'ERROR: (gcloud) {\n  "code": 8,\n  "message": "There is no more capacity in the zone '
            '\\"us-west4-a\\""\n}',
            75,
            "no slice: There is no more capacity in the zone",
        ),
        (
            "ERROR: (gcloud) PERMISSION_DENIED: Cloud TPU API has not been used in project",
            2,
            "slice.sh: gcloud refuses to create my-run: ERROR: (gcloud) PERMISSION_DENIED: Cloud",
        ),
    ],
)
def test_refused(cloud, stderr, status, sentence):
    cloud.faults({"call": "create", "times": 1, "stderr": stderr})
    done = cloud.slice("create")
    assert done.returncode == status
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_create_and_delete_twice_succeed(cloud):
    cloud.bring_up("create", "create", "delete", "delete")


@pytest.mark.parametrize("state", ["FAILED\tno capacity", "SUSPENDED", "DELETING"])
def test_wait_ends_with_the_request(cloud, state):
    cloud.bring_up("create")
    (cloud.world / "slices/my-run/state").write_text(state)
    done = cloud.slice("wait")
    assert done.returncode == 75
    assert f"my-run: {state}" in done.stderr


def test_wait_outlasts_a_lost_network(cloud):
    cloud.bring_up("create")
    cloud.faults({"call": "describe", "times": 3, "stderr": "ERROR: gcloud crashed (SSLError)"})
    cloud.bring_up("wait")
    assert cloud.slept() == ["60"] * 3


@pytest.mark.parametrize("step", STEPS)
def test_dry_run_prints_what_a_run_does(cloud, step):
    """The printed lines, read by a shell, are the calls that follow; and printing calls nothing."""
    printed = cloud.slice(step, "--dry-run")
    assert (printed.returncode, cloud.calls(), cloud.slices()) == (0, [], [])
    lines = [shlex.split(line) for line in printed.stdout.splitlines()]
    cloud.faults({"call": "tail -n", "times": 1, "stderr": ""})  # or `logs` would never end
    cloud.bring_up(*BEFORE.get(step, ()))
    before = len(cloud.calls())
    cloud.slice(step)
    assert [line for line in lines if line[0] == "gcloud"] == cloud.calls()[before:]


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("PROJECT=my-project", "PROJECT=", "PROJECT is empty; tpu/example.env says what it is"),
        ("RUN=my-run", "RUN=My_Run", "RUN is 'My_Run'; begin with a lower-case letter"),
        ("RUN=my-run", "RUN=my_run", "RUN is 'my_run'; use lower-case letters, digits and inner"),
        ("=my-bucket", "=gs://my-bucket", "BUCKET is 'gs://my-bucket'; give its name alone"),
        ("WORK=(train", "WORK=(dance", "WORK begins with 'dance'; begin with train, play, label"),
        ("(train", "(train --output x ", "WORK has --output; leave it out, it is gs://my-bucket/r"),
        ("(train", "(play --shard 0/2 ", "WORK has --shard; leave it out, each host knows its own"),
    ],
)
def test_mistakes_in_the_file(cloud, old, new, sentence):
    done = cloud.run("slice.sh", "create", cloud.env(ENV.replace(old, new)))
    assert done.returncode == 2
    assert f"my.env: {sentence}" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert cloud.calls() == []


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        ([], "usage: tpu/slice.sh STEP FILE.env [--dry-run]"),
        (["crate", "x.env"], "usage: tpu/slice.sh STEP FILE.env [--dry-run]"),
        (["create"], "usage: tpu/slice.sh STEP FILE.env [--dry-run]"),
        (["create", "none.env"], "none.env: no such file; copy tpu/example.env and edit it"),
    ],
)
def test_mistakes_on_the_command_line(cloud, args, sentence):
    done = cloud.run("slice.sh", *args)
    assert done.returncode == 2
    assert sentence in done.stderr
