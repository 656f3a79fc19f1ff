"""Shared fixtures: fake devices before jax starts, and where the real games lie."""

import logging
import os
import signal
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Most of the suite's time goes into compiling small programs. Without optimisations, and then in
# one piece by the older emitters, that takes two fifths of what it takes without optimisations
# alone. XLA aborts at flags that it does not know.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
os.environ.setdefault(
    "XLA_FLAGS",
    "--xla_force_host_platform_device_count=8"
    " --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
    if version("jaxlib").startswith("0.10.")
    else "--xla_force_host_platform_device_count=8",
)
# Eight devices share a pool of eight threads. Collectives of a device that do not depend on each
# other start in any order, and once devices wait in each thread for different ones, none is left:
# XLA aborts after a minute. With more threads they go on.
os.environ.setdefault("PJRT_NPROC", "32")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import pytest
from bytewise import other_teacher  # noqa: F401 - a fixture
from chats import episodes, tokenizers  # noqa: F401 - fixtures
from tiny_run import base_folder, config_file, data_folder, done  # noqa: F401 - fixtures

REPO = Path(__file__).resolve().parents[1]
LONG = ("train", "experiments")  # rooms whose files take longest

# A suite that a script runs in the background inherits that Ctrl-C is ignored, and so would all
# processes that it tests.
signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items) -> None:
    """The longest first: nobody is to begin with one of them when all else is done."""
    items.sort(key=lambda item: item.path.parent.name not in LONG)


@pytest.fixture(scope="session", autouse=True)
def compile_once(tmp_path_factory) -> Iterator[None]:
    """Runs of the same program, also in other processes, share what was compiled."""
    # The workers of a parallel run have folders of their own in one that they share.
    own = tmp_path_factory.getbasetemp()
    shared = own.parent if os.environ.get("PYTEST_XDIST_WORKER") else own
    folder = str(shared / "compiled")
    import jax

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JAX_COMPILATION_CACHE_DIR", folder)
        patch.setenv("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")
        jax.config.update("jax_compilation_cache_dir", folder)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)
        yield
        jax.config.update("jax_compilation_cache_dir", None)


@pytest.fixture(scope="session")
def real_games_dir() -> Path:
    """Folder with the real ALFWorld games; third-party data, so absent on most machines."""
    folder = Path(os.environ.get("DUOMEM_REAL_GAMES", REPO.parent / "shared/data/alfworld"))
    if not (folder / "train.jsonl.xz").exists():
        pytest.skip(f"no real ALFWorld games at {folder}; set DUOMEM_REAL_GAMES to their folder")
    return folder


@pytest.fixture(autouse=True)
def log_reaches_caplog():
    """A command that a test ran keeps the package's log to itself."""
    logging.getLogger("duomem_jax").propagate = True


@pytest.fixture(scope="session")
def played(tmp_path_factory) -> Path:
    """Games won by the expert, as `episodes`, `memories`, `rows` and `paired` rows.

    The rows are the tiny models'; in the paired ones a teacher sees memories.
    """
    from duomem_jax import stages
    from duomem_jax.agents.play import Play
    from duomem_jax.agents.player import Player
    from duomem_jax.models.shipped import model_folder
    from duomem_jax.stages.examples import Examples
    from duomem_jax.worlds.games import Games

    root = tmp_path_factory.mktemp("played")
    won, memories = str(root / "episodes"), str(root / "memories")
    stages.generate(str(root / "games"), 6, 3)
    stages.play(won, Games(str(root / "games")), Player("expert", "expert"), Play(slots=4))
    stages.memories(memories, won)
    how, student = Examples(length=256, teacher_length=384), str(model_folder("tiny-student"))
    stages.examples(str(root / "rows"), student, won, how=how)
    stages.examples(str(root / "paired"), student, won, how=how, teacher_memory=memories)
    return root


@pytest.fixture(scope="session")
def labelled(played) -> Path:
    """`rows` with the eight likeliest candidates of the tiny teacher."""
    from duomem_jax import stages
    from duomem_jax.models.shipped import model_folder
    from duomem_jax.stages.label import Label

    teacher = str(model_folder("tiny-teacher"))
    stages.label(str(played / "labelled"), str(played / "rows"), teacher, Label(k=8, rows=1))
    return played / "labelled"
