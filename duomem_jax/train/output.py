"""The output folder of a run: claimed by one config, filled with what it made."""

import contextlib
import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from duomem_jax.agents.manner import FIELD as PLAY
from duomem_jax.agents.manner import Trained
from duomem_jax.agents.play import MAX_NEW
from duomem_jax.base.config import differences, to_dict
from duomem_jax.base.errors import UserError
from duomem_jax.base.io import (
    as_path,
    atomic_write_text,
    clear_os_errors,
    is_remote,
    read_json,
)
from duomem_jax.base.lock import LOCK, lock_for_writing, unlock
from duomem_jax.base.prompts import system_text
from duomem_jax.data.facts import longest_reply
from duomem_jax.mesh.hosts import is_first
from duomem_jax.train.config import TrainConfig
from duomem_jax.train.inputs import inputs, without_names
from duomem_jax.train.plan import Plan

CONFIG = "config.json"
MADE_FROM = "made_from"  # in that file: what lay in the folders that the config names
STEP = 32  # tokens, of the length of replies
# May differ on a restart: they change how a run goes, not what it makes.
FREE = ("output", "mesh", "checkpoint_every", "log_every", "writers", "profile")


def check_output(config: TrainConfig) -> None:
    """Refuse an output folder that holds something else than this run, or that another one writes.

    Raises:
        UserError: names what differs, or who writes.
    """
    folder = as_path(config.output)
    path = folder / CONFIG
    if path.exists():
        another = f"choose another output folder, or delete {folder}"
        _refuse_other_run(path, read_json(path, missing=another, damaged=another), config)
        # The first host speaks for all; the others find its lock here.
        if is_first() and not is_remote(folder) and (folder / LOCK).exists():
            unlock(lock_for_writing(folder))
    # No run's folder: nothing is written among somebody else's files.
    elif folder.is_dir() and any(file.name != LOCK for file in folder.iterdir()):
        raise UserError(f"{folder}: not empty and without {CONFIG}; choose another output folder")
    elif folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: is a file; choose another output folder")


def _refuse_other_run(path: Path, theirs: dict[str, Any], config: TrainConfig) -> None:
    # A field that an older version did not know had what is now its default.
    theirs = _plain(to_dict(TrainConfig("", "", ""))) | theirs
    # A folder of a version that did not look at contents is told by the names of what it read.
    mine = without_names(config) if MADE_FROM in theirs else to_dict(config)
    changed = [
        name
        for name, _, _ in differences(_plain(mine), _like(theirs, _plain(mine)))
        if name.partition(".")[0] not in FREE
    ]
    # Only now: contents are hashed, and a model may have to be downloaded first.
    if not changed and MADE_FROM in theirs:
        found = differences(_plain(inputs(config)), theirs[MADE_FROM])
        changed = [f"content of {name}" for name, _, _ in found]
    if changed:
        raise UserError(
            f"{path}: the folder belongs to a run with another {', '.join(changed)}; "
            "choose another output folder"
        )


def _plain(value: Any) -> Any:
    """Through JSON and back, since a stored config has lists where a live one has tuples."""
    return json.loads(json.dumps(value))


def _like(theirs: Any, mine: Any) -> Any:
    """The part of a stored config whose fields the one at hand has, too."""
    if not (isinstance(theirs, dict) and isinstance(mine, dict)):
        return theirs
    return {name: _like(theirs.get(name), mine[name]) for name in mine}


@contextlib.contextmanager
def claimed(config: TrainConfig) -> Iterator[Path]:
    """Create the output folder with the resolved config, or return to it, and be its only writer.

    Raises:
        UserError: the folder belongs to another run, is being written, or is not writable.
    """
    # Again: another run may have taken the folder while the weights were loaded.
    check_output(config)
    folder = as_path(config.output)
    # Of several hosts one writes, as far as locks go; a bucket has none.
    if is_remote(folder) or not is_first():
        yield _written(folder, config)
        return
    with clear_os_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    lock = lock_for_writing(folder)
    try:
        yield _written(folder, config)
    finally:
        unlock(lock)


def _written(folder: Path, config: TrainConfig) -> Path:
    # At every start: fields in `FREE` may have changed since the last one.
    if is_first():
        facts = to_dict(config) | {MADE_FROM: inputs(config)}
        atomic_write_text(folder / CONFIG, json.dumps(facts, indent=2) + "\n")
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
    return _plain(facts)


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
