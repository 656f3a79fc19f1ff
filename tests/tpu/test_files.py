"""The scripts pass shellcheck; what other launchers read says what the scripts do."""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


def test_shellcheck():
    found = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}") or shutil.which(
        "shellcheck"
    )
    if not found:
        pytest.skip("shellcheck is not installed; `make check` runs it from the extra dev")
    scripts = sorted(str(p.relative_to(ROOT)) for p in (ROOT / "tpu").glob("*.sh"))
    done = subprocess.run([found, "-x", *scripts], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.fixture
def jobset():
    return yaml.safe_load((ROOT / "tpu" / "jobset.yaml").read_text())


@pytest.fixture
def sky():
    return yaml.safe_load((ROOT / "tpu" / "sky.yaml").read_text())


def test_saved_runs_are_started_again(sky, jobset):
    """Status 75 restarts without end; other failures do so a few times."""
    recovery = sky["resources"]["job_recovery"]
    assert recovery == {"max_restarts_on_errors": 3, "recover_on_exit_codes": [75]}
    policy = jobset["spec"]["failurePolicy"]
    assert policy["maxRestarts"] == 3
    assert policy["rules"][0]["action"] == "RestartJobSetAndIgnoreMaxRestarts"
    job = jobset["spec"]["replicatedJobs"][0]["template"]["spec"]
    assert {"operator": "In", "values": [75]} in [
        rule.get("onExitCodes") for rule in job["podFailurePolicy"]["rules"]
    ]
    assert job["backoffLimit"] == 0
    assert job["parallelism"] == job["completions"]


def test_all_launchers_train_alike(sky, jobset):
    job = jobset["spec"]["replicatedJobs"][0]["template"]["spec"]
    args = job["template"]["spec"]["containers"][0]["args"]
    assert sky["run"] == 'bash tpu/host.sh work "gs://$BUCKET/runs/$RUN" $WORK'
    assert args[0] == "work"
    assert sky["envs"]["WORK"].split() == args[2:]
    example = subprocess.run(
        ["bash", "-c", '. tpu/example.env; printf "%s\\n" "${WORK[@]}"'],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert example.stdout.splitlines() == args[2:]


def test_xpk_dry_run(cloud):
    """Nothing is called; the train command survives quoting."""
    from fake_cloud import TRAIN

    done = cloud.run("xpk.sh", "launch", cloud.env(), "--dry-run")
    (line,) = [shlex.split(x) for x in done.stdout.splitlines()]
    assert line[:3] == ["xpk", "workload", "create"]
    (command,) = [x.removeprefix("--command=") for x in line if x.startswith("--command=")]
    *words, option, output = TRAIN
    assert option == "--output"
    assert shlex.split(command) == ["bash", "tpu/host.sh", "work", output, "train", *words]
