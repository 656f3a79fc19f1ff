"""What a command says of its surroundings: one sentence, never a traceback."""

import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from duomem_jax.base.commandline import run_command
from duomem_jax.base.disk import explain_full_disk
from duomem_jax.base.errors import UserError
from duomem_jax.base.explain import explain

ROOT = Path(__file__).resolve().parents[2]
# Letters of all kinds in a log line and on standard output.
TALK = """
import logging, sys
from duomem_jax.base.commandline import run_command
from duomem_jax.base.progress import Progress
from duomem_jax.base.terminal import say

def command():
    logging.getLogger("duomem_jax.x").info("Ä 学生 %s", "x" * 70_000)
    with Progress(1, "é") as bar:
        bar.add()
    say("done \\udcff")
    open(sys.argv[1], "w").write("worked")

sys.exit(run_command("test", command))
"""


def python(code, *args, **how):
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, args)], cwd=ROOT, timeout=60, **how
    )


def shell(line, **env):
    return subprocess.run(
        ["bash", "-c", line], cwd=ROOT, env=os.environ | env, timeout=60, capture_output=True
    )


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_letters_that_the_screen_lacks_are_escaped(tmp_path, encoding):
    env = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    found = python(TALK, tmp_path / "x", capture_output=True, env=env)
    assert found.returncode == 0, found.stderr
    shown = "Ä 学生".encode(encoding, "backslashreplace")
    assert found.stdout.startswith(shown)
    assert found.stdout.endswith(b"done \\udcff\n")


@pytest.mark.parametrize(
    ("where", "status", "says"),
    [
        ("| head -c 1", 0, ""),
        (">&-", 0, ""),
        ("2>&-", 0, ""),
        (">&- 2>&- <&-", 0, ""),
        ("2>&1 | true", 0, ""),
        (">/dev/full", 2, "test: standard output cannot be written (No space left on device); "),
        (">/dev/full 2>&1", 2, ""),
    ],
)
def test_the_work_is_done_whoever_reads(tmp_path, where, status, says):
    line = f'set -o pipefail; "$PYTHON" -c "$CODE" {tmp_path}/x {where}'
    found = shell(line, PYTHON=sys.executable, CODE=TALK)
    assert (tmp_path / "x").read_text() == "worked"
    assert found.returncode == status
    told = [s for s in found.stderr.decode().splitlines() if not s.startswith("é: 1/1")]
    assert len(told) == bool(says)
    assert "".join(told).startswith(says)


def test_the_help_may_be_cut_short():
    found = shell(
        'set -o pipefail; "$PYTHON" -m duomem_jax --help | head -1', PYTHON=sys.executable
    )
    assert (found.returncode, found.stderr) == (0, b"")
    assert found.stdout.startswith(b"usage: duomem")


def test_the_version():
    found = python("import sys, duomem_jax.cli as c; c.main(['--version'])", capture_output=True)
    assert found.stdout.startswith(b"duomem-jax 0.")


# A container's user: a number without a name, and no HOME.
NOBODY = """
import os, sys
for name in ("HOME", "XDG_CACHE_HOME", "JAX_COMPILATION_CACHE_DIR", "MPLCONFIGDIR", "HF_HOME"):
    os.environ.pop(name, None)
os.getuid = lambda: 12345
from duomem_jax.base.commandline import run_command
def command():
    from pathlib import Path
    import huggingface_hub.constants as hub, matplotlib, jax
    from duomem_jax.mesh.compile_cache import keep_compiled
    keep_compiled()
    print(Path.home(), hub.HF_HOME, matplotlib.get_cachedir(), sep="\\n")
sys.exit(run_command("test", command))
"""


def test_without_a_home_there_is_one_for_the_time_being(tmp_path):
    env = os.environ | {"TMPDIR": str(tmp_path)}
    found = python(NOBODY, capture_output=True, text=True, env=env)
    assert found.returncode == 0, found.stderr
    said, home, *caches = found.stdout.splitlines()
    assert said.startswith("no home folder: ")
    assert home.startswith(str(tmp_path))
    assert all(cache.startswith(home) for cache in caches)
    assert not list(tmp_path.glob("duomem-home-*"))


SETTINGS = {
    "JAX_PLATFORMS=cuda": "JAX_PLATFORMS is 'cuda', which JAX cannot use here",
    "JAX_PLATFORMS=nonsense": "JAX_PLATFORMS is 'nonsense', which JAX cannot use here (Unable to",
    "JAX_PLATFORM_NAME=nonsense": "JAX_PLATFORM_NAME is 'nonsense'",
    "JAX_ENABLE_X64=maybe": "JAX_ENABLE_X64 is 'maybe', which JAX does not take",
    "JAX_NUM_CPU_DEVICES=x": "JAX_NUM_CPU_DEVICES is 'x', which JAX does not take",
}
START_JAX = """
import sys
from duomem_jax.base.commandline import run_command
def command():
    import jax
    jax.devices()
sys.exit(run_command("test", command))
"""


@pytest.mark.parametrize("setting", SETTINGS)
def test_a_setting_that_jax_cannot_start_with_is_named(setting):
    name, _, value = setting.partition("=")
    env = {k: v for k, v in os.environ.items() if k != "JAX_PLATFORMS"} | {name: value}
    found = python(START_JAX, capture_output=True, text=True, env=env)
    assert found.returncode == 2
    (sentence,) = [s for s in found.stderr.splitlines() if s.startswith("test: ")]
    assert SETTINGS[setting] in sentence
    assert "Traceback" not in found.stderr


def ends(error, capsys):
    def command():
        raise error

    status = run_command("test", command)
    return status, capsys.readouterr().err


def test_memory_that_does_not_suffice_is_a_sentence(capsys):
    import jax.numpy as jnp
    import numpy as np

    for allocate in (
        lambda: jnp.zeros((10**14,)).block_until_ready(),
        lambda: np.zeros((10**14,)),
    ):
        with pytest.raises((MemoryError, RuntimeError)) as e:
            allocate()
        assert ends(e.value, capsys)[1].startswith("test: out of memory (")
        # XLA's code for it is that of a full disk elsewhere.
        with pytest.raises(type(e.value)), explain_full_disk("x"):
            raise e.value


def test_an_error_about_a_file_names_it(capsys):
    error = PermissionError(errno.EACCES, "Permission denied", "a/b")
    assert ends(error, capsys) == (
        2,
        "test: a/b: Permission denied; check the path, its permissions and its disk\n",
    )
    long = "x" * 300
    with pytest.raises(OSError, match="too long") as e:
        Path(long).read_text()
    assert f"{long}: File name too long" in ends(e.value, capsys)[1]


def test_a_defect_of_ours_keeps_its_traceback():
    assert explain(ValueError("x")) is None
    assert explain(OSError("x")) is None
    with pytest.raises(ZeroDivisionError):
        run_command("test", lambda: 1 // 0)


def test_a_closed_pipe_of_other_printing_is_quiet(capsys):
    assert ends(BrokenPipeError(errno.EPIPE, "x"), capsys) == (0, "")


WAIT = """
import sys, time
from duomem_jax.base.commandline import run_command
def command():
    try:
        print("ready", flush=True)
        time.sleep(60)
    finally:
        print("ending", flush=True)
        if sys.argv[1] == "slow":
            time.sleep(60)
sys.exit(run_command("test", command))
"""


@pytest.mark.parametrize("kind", ["quick", "slow"])
def test_the_first_ctrl_c_ends_in_order_and_the_second_at_once(kind):
    process = subprocess.Popen(
        [sys.executable, "-c", WAIT, kind],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert process.stdout.readline() == "ending\n"
    if kind == "slow":
        process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=20)
    status, says = {"quick": (2, "test: stopped"), "slow": (130, "\ntest: ended at once")}[kind]
    assert (process.returncode, error[: len(says)]) == (status, says)
    assert "Traceback" not in error


@pytest.mark.parametrize(
    "command", [["-m", "duomem_jax", "play", "--help"], ["train.py", "--help"]]
)
def test_ctrl_c_during_imports_is_a_sentence(command):
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    maps = Path(f"/proc/{process.pid}/maps")
    deadline = time.monotonic() + 30
    # In the middle of them: numpy is there, and what is imported after it is not.
    while "numpy" not in maps.read_text() and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=30)
    assert "stopped; run the same command again" in error
    assert "Traceback" not in error
    assert process.returncode == 2


def test_ctrl_c_that_a_library_turns_into_its_own_error(capsys):
    def command():
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(1)
        except KeyboardInterrupt:
            raise ImportError("initialisation failed") from None

    assert run_command("test", command) == 2
    assert capsys.readouterr().err == "test: stopped; run the same command again to continue\n"
    signal.signal(signal.SIGINT, signal.default_int_handler)


def test_a_mistake_is_a_sentence(capsys):
    assert ends(UserError("no"), capsys) == (2, "test: no\n")
