"""Shared fixtures: fake devices before jax starts, and where the real games lie."""

import os
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("XLA_FLAGS", "--xla_force_host_platform_device_count=8")
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")  # compiles twice as fast
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")

import pytest

REPO = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def real_games_dir() -> Path:
    """Folder with the real ALFWorld games; third-party data, so absent on most machines."""
    folder = Path(os.environ.get("DUOMEM_REAL_GAMES", REPO.parent / "shared/data/alfworld"))
    if not (folder / "train.jsonl.xz").exists():
        pytest.skip(f"no real ALFWorld games at {folder}; set DUOMEM_REAL_GAMES to their folder")
    return folder
