"""A fake `gcloud`: slices are folders of hosts, buckets are folders, ssh is a shell in a host.

What it is told is written to calls.jsonl; faults.json says which calls fail, and how. The commands
that arrive over ssh are really run, so what the scripts do on a host is tested, quoting included.

A fault: {"call": part of the command line, "skip": calls that pass first, "times": calls that
fail, "status": exit status, "stderr": what is said, "preempts": the slice is lost in this call}.
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

WORLD = Path(os.environ.get("FAKE_CLOUD", ""))
HOSTS = 2


def local(url: str) -> Path:
    return WORLD / "bucket" / url.removeprefix("gs://") if url.startswith("gs://") else Path(url)


def fail(text: str, status: int = 1) -> None:
    print(text, file=sys.stderr)
    sys.exit(status)


def option(args: list[str], name: str) -> str:
    return next(a.partition("=")[2] for a in args if a.startswith(f"--{name}="))


def home(slice_: Path, host: int) -> Path:
    return slice_ / f"host{host}"


def kill_hosts(slice_: Path) -> None:
    for pid in list(processes(slice_)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def processes(slice_: Path) -> Iterator[int]:
    """What runs on the hosts: by working folder, as a host's end spares nothing."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if str(entry.joinpath("cwd").resolve()).startswith(f"{slice_}/"):
                yield int(entry.name)
        except OSError:
            pass


def take_fault(line: str) -> dict | None:
    path = WORLD / "faults.json"
    faults = json.loads(path.read_text()) if path.exists() else []
    for fault in faults:
        if fault["call"] in line and fault["times"] > 0:
            if fault.get("skip", 0) > 0:
                fault["skip"] -= 1
                chosen = None
            else:
                fault["times"] -= 1
                chosen = fault
            path.write_text(json.dumps(faults))
            return chosen
    return None


def queued_resources(verb: str, args: list[str]) -> None:
    slice_ = WORLD / "slices" / args[0]
    if verb == "create":
        if slice_.exists():
            fail(f"ERROR: (gcloud) ALREADY_EXISTS: Resource '{args[0]}' already exists")
        for host in range(HOSTS):
            home(slice_, host).mkdir(parents=True)
        (slice_ / "state").write_text("ACTIVE")
    elif not slice_.exists():
        fail(f"ERROR: (gcloud) NOT_FOUND: Resource '{args[0]}' was not found")
    elif verb == "describe":
        print((slice_ / "state").read_text())
    elif verb == "delete":
        kill_hosts(slice_)
        shutil.rmtree(slice_)


def ssh(args: list[str]) -> None:
    slice_, worker = WORLD / "slices" / args[0], option(args, "worker")
    if not slice_.exists() or (slice_ / "state").read_text() != "ACTIVE":
        fail("ERROR: (gcloud.compute.tpus.tpu-vm.ssh) no such TPU VM", 255)
    failed = False
    for host in range(HOSTS) if worker == "all" else [int(worker)]:
        there = home(slice_, host)
        done = subprocess.run(
            ["bash", "-c", option(args, "command")],
            cwd=there,
            env=os.environ | {"HOME": str(there), "FAKE_HOST": str(host)},
        )
        failed |= done.returncode != 0
    sys.exit(int(failed))


def storage(verb: str, args: list[str]) -> None:
    paths = [local(a) for a in args if not a.startswith("--")]
    if verb == "ls":
        if not paths[0].exists():
            fail("ERROR: (gcloud.storage.ls) One or more URLs matched no objects.")
    elif verb == "cp":
        paths[1].parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(*paths)
    elif verb == "rsync":
        shutil.copytree(*paths, dirs_exist_ok=True)


def main(args: list[str]) -> None:
    if "FAKE_HOST" not in os.environ:  # what a host asks is no call of the scripts
        with (WORLD / "calls.jsonl").open("a") as f:
            f.write(json.dumps(["gcloud", *args]) + "\n")
        if fault := take_fault(" ".join(args)):
            if fault.get("preempts"):
                for slice_ in (WORLD / "slices").iterdir():
                    kill_hosts(slice_)
                    (slice_ / "state").write_text("SUSPENDED")
            fail(fault["stderr"], fault.get("status", 1))
    if args[:2] == ["compute", "tpus"] and args[2] == "queued-resources":
        queued_resources(args[3], args[4:])
    elif args[:4] == ["compute", "tpus", "tpu-vm", "ssh"]:
        ssh(args[4:])
    elif args[0] == "storage":
        storage(args[1], args[2:])
    else:
        fail(f"fake gcloud: no {' '.join(args)}", 99)


if __name__ == "__main__":
    main(sys.argv[1:])
