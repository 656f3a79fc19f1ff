"""The output folder of a run: claimed by one config, filled with what it made."""

import json
from pathlib import Path
from typing import Any

from duomem_jax.base.config import to_dict
from duomem_jax.base.errors import UserError
from duomem_jax.base.io import as_path, atomic_write_text
from duomem_jax.mesh.hosts import is_first
from duomem_jax.train.config import TrainConfig

CONFIG = "config.json"
# May differ on a restart: they change how a run goes, not what it makes.
FREE = ("output", "mesh", "checkpoint_every", "log_every", "writers", "profile")


def check_output(config: TrainConfig) -> None:
    """Raise UserError when the output folder holds something else than this run."""
    folder = as_path(config.output)
    path, mine = folder / CONFIG, json.loads(json.dumps(to_dict(config)))
    if path.exists():
        try:
            theirs = json.loads(path.read_text())
        except ValueError:
            raise UserError(f"{path}: not valid JSON; delete {folder} or choose another") from None
        # A field that an older version did not know had what is now its default.
        theirs = json.loads(json.dumps(to_dict(TrainConfig("", "", "")))) | theirs
        changed = [key for key in mine if key not in FREE and mine[key] != theirs[key]]
        if changed:
            raise UserError(
                f"{path}: the folder belongs to a run with another {', '.join(changed)}; "
                "choose another output folder"
            )
    elif folder.is_dir() and any(folder.iterdir()):
        raise UserError(f"{folder}: not empty and without {CONFIG}; choose another output folder")
    elif folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file; choose another output folder")


def claim(config: TrainConfig) -> Path:
    """Create the output folder with the resolved config, or return to it.

    Raises:
        UserError: the folder belongs to another run, or is not writable.
    """
    check_output(config)
    folder = as_path(config.output)
    if is_first():
        atomic_write_text(folder / CONFIG, json.dumps(to_dict(config), indent=2) + "\n")
    return folder


def describe(config: TrainConfig, fingerprint: str) -> dict[str, Any]:
    """What an adapter or checkpoint has to remember to be used again."""
    lora = {"rank": config.lora.rank, "alpha": config.lora.alpha, "targets": config.lora.targets}
    return {
        "base": config.base,
        "base_fingerprint": fingerprint,
        **(json.loads(json.dumps(lora)) if config.trainable == "lora" else {}),
        "config": json.loads(json.dumps(to_dict(config))),
    }
