"""Starts several processes on this machine that are hosts of one run, as JAX sees it."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import train

ROOT = Path(train.__file__).parent
DEVICES = "--xla_force_host_platform_device_count"  # the last one counts


def start_hosts(count, devices, config_file, *overrides):
    """`train.py` in `count` processes that share `devices` fake ones."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    command = [sys.executable, train.__file__, "--config", config_file, *overrides]
    return [
        subprocess.Popen(
            [str(word) for word in command],
            env=os.environ
            | {
                "PYTHONPATH": str(ROOT),
                "XLA_FLAGS": f"{os.environ['XLA_FLAGS']} {DEVICES}={devices // count}",
                "JAX_COORDINATOR_ADDRESS": f"localhost:{port}",
                "JAX_NUM_PROCESSES": str(count),
                "JAX_PROCESS_ID": str(i),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(count)
    ]


def outcome(hosts, timeout=120):
    """(status, standard output, standard error) of each, once all have ended."""
    deadline = time.monotonic() + timeout
    try:
        texts = [host.communicate(timeout=deadline - time.monotonic()) for host in hosts]
    finally:
        for host in hosts:
            host.kill()
    return [(host.returncode, *text) for host, text in zip(hosts, texts, strict=True)]
