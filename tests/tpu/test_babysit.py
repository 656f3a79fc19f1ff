"""A run is seen through whatever happens to its slices."""

import shlex

from fake_cloud import TRAIN

PREEMPTED = {"call": "status", "times": 1, "status": 255, "stderr": "closed", "preempts": True}
STOCK_OUT = {
    "call": "create",
    "stderr": 'ERROR: (gcloud) {\n "code": 8,\n "message": "There is no more capacity in the zone"',
}


def test_undisturbed_run_and_its_dry_run(cloud):
    printed = cloud.babysit("--dry-run")
    assert (printed.returncode, cloud.calls()) == (0, [])
    lines = [shlex.split(line) for line in printed.stdout.splitlines()]
    done = cloud.babysit()
    assert done.returncode == 0, done.stderr
    asked = cloud.calls()
    once = [c for i, c in enumerate(asked) if i == 0 or c != asked[i - 1]]  # status, many times
    assert once == [line for line in lines if line[0] == "gcloud"]
    assert [[s["args"] for s in cloud.starts(host)] for host in (0, 1)] == [[TRAIN], [TRAIN]]
    assert "finished: gs://my-bucket/runs/my-run" in done.stderr
    assert cloud.slices() == []


def test_preempted_while_it_trains(cloud):
    """Another slice, the same run: it continues from the step that the first one had reached."""
    cloud.faults(PREEMPTED | {"skip": 4})
    done = cloud.babysit()
    assert done.returncode == 0, done.stderr
    first, second = cloud.starts(0)
    assert first["args"] == second["args"] == TRAIN
    assert first["step"] == 0 < second["step"]
    create, again = cloud.calls("queued-resources create")
    assert create == again
    assert len(cloud.calls("queued-resources delete")) == 2
    assert "my-run: SUSPENDED" in done.stderr


def test_vanished_while_it_trains(cloud):
    gone = {"call": "describe", "times": 1, "skip": 1, "stderr": "ERROR: NOT_FOUND: not found"}
    cloud.faults(PREEMPTED | {"skip": 3}, gone)
    done = cloud.babysit()
    assert done.returncode == 0, done.stderr
    assert "my-run: ABSENT" in done.stderr
    assert len(cloud.starts(0)) == 2


def test_stock_out(cloud):
    """The waits double up to a bound, and end with the first slice."""
    cloud.faults(STOCK_OUT | {"times": 4})
    done = cloud.babysit(MAX_BACKOFF="300")
    assert done.returncode == 0, done.stderr
    assert [s for s in cloud.slept() if s != "60"] == ["120", "240", "300"]
    assert len(cloud.starts(0)) == 1


def test_stock_out_that_never_ends(cloud):
    cloud.faults(STOCK_OUT | {"times": 99})
    done = cloud.babysit(TRIES="3")
    assert done.returncode == 1
    assert "no slice that works after 3 tries" in done.stderr
    assert len(cloud.calls("queued-resources create")) == 3
    assert cloud.slices() == []


def test_no_quota_ends_it_at_once(cloud):
    cloud.faults({"call": "create", "times": 99, "stderr": "ERROR: Quota limit has been exceeded"})
    done = cloud.babysit()
    assert done.returncode == 2
    assert len(cloud.calls("queued-resources create")) == 1
    assert cloud.slept() == []


def test_connection_drops_while_watching(cloud):
    """The run continues meanwhile; nothing is started twice."""
    dropped = {"call": "status", "skip": 2, "times": 3, "status": 255, "stderr": "Broken pipe"}
    cloud.faults(dropped)
    done = cloud.babysit()
    assert done.returncode == 0, done.stderr
    assert [len(cloud.starts(host)) for host in (0, 1)] == [1, 1]
    assert len(cloud.calls("queued-resources create")) == 1


def test_connection_drops_behind_a_launch(cloud):
    """The answer to a launch that worked is lost; the next one does nothing."""
    cloud.bring_up("upload", "create", "setup", "launch")
    dropped = {"call": "status", "times": 1, "status": 255, "stderr": "Broken pipe"}
    cloud.faults(dropped)
    assert cloud.babysit().returncode == 0
    assert [len(cloud.starts(host)) for host in (0, 1)] == [1, 1]


def test_hosts_that_cannot_be_set_up_are_replaced(cloud):
    cloud.faults({"call": "flock", "times": 5, "status": 255, "stderr": "Connection refused"})
    done = cloud.babysit()
    assert done.returncode == 0, done.stderr
    assert len(cloud.calls("queued-resources create")) == 2


def test_saved_and_crashed_runs_start_again_on_the_same_slice(cloud):
    cloud.plan(75, 1, "train")
    done = cloud.babysit()
    assert done.returncode == 0, done.stderr
    assert [s["step"] for s in cloud.starts(0)] == [0, 1, 2]
    assert len(cloud.calls("queued-resources create")) == 1


def test_a_run_that_always_crashes_is_given_up(cloud):
    cloud.plan(1)
    (cloud.world / "bucket/my-bucket/runs/my-run").mkdir(parents=True)
    done = cloud.babysit(CRASHES="1")
    assert done.returncode == 1
    assert "crashed again; see gs://my-bucket/logs/my-run" in done.stderr
    assert len(cloud.starts(0)) == 2
    assert cloud.slices() == []


def test_a_host_that_always_crashes_is_given_up_though_the_others_say_try_again(cloud):
    cloud.plan({"0": 75, "1": 137})
    done = cloud.babysit(CRASHES="1")
    assert done.returncode == 1
    assert "crashed again" in done.stderr
    assert len(cloud.starts(0)) == 2


def test_a_refused_config_is_not_tried_again(cloud):
    cloud.plan(2)
    done = cloud.babysit()
    assert done.returncode == 2
    assert len(cloud.starts(0)) == 1
    assert cloud.slices() == []


def test_stopped_by_hand_stays(cloud):
    cloud.plan("last")
    cloud.bring_up("upload", "create", "setup", "launch", "stop")
    done = cloud.babysit()
    assert done.returncode == 0
    assert "stopped by hand" in done.stderr
    assert cloud.slices() == ["my-run"]


def test_a_finished_run_gets_no_slice(cloud):
    assert cloud.babysit().returncode == 0
    before = len(cloud.calls())
    assert cloud.babysit().returncode == 0
    assert [c[3] if c[1] == "compute" else c[1] for c in cloud.calls()[before:]] == [
        "storage",
        "queued-resources",
    ]
