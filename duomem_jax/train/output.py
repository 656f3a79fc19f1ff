"""The output folder of a run: claimed by one config, filled with what it made."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from duomem_jax.agents.manner import FIELD as PLAY
from duomem_jax.agents.manner import Trained
from duomem_jax.agents.play import MAX_NEW
from duomem_jax.base.config import to_dict
from duomem_jax.base.errors import UserError
from duomem_jax.base.io import as_path, atomic_write_text
from duomem_jax.base.prompts import system_text
from duomem_jax.data.facts import longest_reply
from duomem_jax.mesh.hosts import is_first
from duomem_jax.train.config import TrainConfig
from duomem_jax.train.plan import Plan

CONFIG = "config.json"
STEP = 32  # tokens, of the length of replies
# May differ on a restart: they change how a run goes, not what it makes.
FREE = ("output", "mesh", "checkpoint_every", "log_every", "writers", "profile")


def check_output(config: TrainConfig) -> None:
    """Raise UserError when the output folder holds something else than this run."""
    folder = as_path(config.output)
    # Through JSON and back, since a stored config has lists where a live one has tuples.
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
    # No run's folder: nothing is written among somebody else's files.
    elif folder.is_dir() and any(folder.iterdir()):
        raise UserError(f"{folder}: not empty and without {CONFIG}; choose another output folder")
    elif folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file; choose another output folder")


def claim(plan: Plan) -> Path:
    """Create the output folder with the resolved config, or return to it.

    Raises:
        UserError: the folder belongs to another run, or is not writable.
    """
    config = plan.config
    # Again: another run may have taken the folder while the weights were loaded.
    check_output(config)
    folder = as_path(config.output)
    # Written at every start: fields in `FREE` may have changed since the last one.
    if is_first():
        atomic_write_text(folder / CONFIG, json.dumps(to_dict(config), indent=2) + "\n")
    return folder


def describe(plan: Plan) -> dict[str, Any]:
    """What an adapter or a checkpoint has to remember: its base, its config, what it learnt from.

    The rows are described as they are now, since their folder may hold others later.
    """
    config = plan.config
    facts: dict[str, Any] = {
        "base": config.base,
        "base_fingerprint": plan.base_id,
        "config": to_dict(config),
        "rows": None,
    }
    if plan.trained == "lora":
        lora = config.lora
        facts |= {"rank": lora.rank, "alpha": lora.alpha, "targets": lora.targets}
    if plan.rows is not None:
        rows = plan.rows
        examples = rows.counts.get("examples", 0)
        # The content hash, as a folder's name does not say what was in it.
        facts["rows"] = {"folder": rows.folder, "content": rows.content, "examples": examples}
    facts[PLAY] = dataclasses.asdict(_trained(plan))
    return json.loads(json.dumps(facts))


def _trained(plan: Plan) -> Trained:
    """How what is trained will have to be spoken to when it plays."""
    if plan.rows is None:
        c = plan.config.on_policy
        system = system_text(c.talk.system, c.games.open_world().prompt)
        # The student of such a run sees no memories: these are for its teacher.
        return Trained(system, None, c.talk.reply_tokens)
    student = plan.rows.student
    # The last place of a reply is for its end. Beyond the usual length in steps, so that a few
    # rows more or less make no other player.
    needed = (longest_reply(plan.rows.folder) // STEP + 1) * STEP
    return Trained(student.system, student.shown, max(MAX_NEW, needed))
