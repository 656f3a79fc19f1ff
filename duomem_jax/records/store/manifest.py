"""What a dataset folder says about itself, and whether its files still agree with that."""

import hashlib
import json
import os
import re
import sys
from importlib import metadata
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from duomem_jax.base.errors import UserError
from duomem_jax.base.fields import check_value
from duomem_jax.base.io import atomic_write_text, read_json
from duomem_jax.records.store.spec import DIALOGUES, EPISODES, MEMORIES, PICTURES, ROWS
from duomem_jax.records.there import instead

FORMAT = 1
# Hashing this much takes about 0.1 s. Of larger splits only the sizes are compared, since every
# start of a training would otherwise read all of its data.
SMALL_BYTES = 64 * 2**20
_MADE_BY = {
    EPISODES: "`duomem play`",
    MEMORIES: "`duomem memories`",
    DIALOGUES: "`duomem dialogues`",
    PICTURES: "`duomem pictures`",
    ROWS: "`duomem examples` or `duomem label`",
}
_SHARD_FILE = re.compile(r"[\w.-]+\.array_record-\d{5,}-of-\d{5,}")
_PACKAGES = ("duomem-jax", "array-record", "tensorflow-datasets", "numpy")


class ShardFacts(TypedDict):
    """What the manifest says of a shard's file."""

    file: str
    records: int
    bytes: int
    sha256: str


class FinishedShard(ShardFacts):
    """The same while the split is not complete."""

    counts: dict[str, int]


class SplitFacts(TypedDict):
    """What it says of a split: its identity, and what is there.

    Attributes:
        features: SHA-256 of `features.json`, which folders of older versions do not have.
    """

    source: dict[str, Any]
    config: dict[str, Any]
    seed: int
    records: int
    counts: dict[str, int]
    shards: list[ShardFacts]
    features: NotRequired[str]
    notes: NotRequired[dict[str, Any]]


class _Manifest(TypedDict):
    format: int
    name: str
    content_hash: str
    versions: dict[str, str]
    splits: dict[str, SplitFacts]


def load_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of a folder, or None where no split is complete yet.

    Raises:
        UserError: the file is damaged or of an unknown format.
    """
    path = folder / "manifest.json"
    if not path.exists():
        return None
    remedy = f"delete {folder} and write it again"
    manifest = read_json(path, missing=remedy, damaged=remedy)
    if manifest.get("format") != FORMAT:
        raise UserError(f"{path}: not a dataset manifest of format {FORMAT}; write it again")
    try:
        check_value(manifest, _Manifest)
    except TypeError as e:
        raise UserError(f"{path}: damaged ({e}); {remedy}") from None
    for shard in (s for facts in manifest["splits"].values() for s in facts["shards"]):
        # Nothing outside of the folder is read, whatever its files say.
        if not _SHARD_FILE.fullmatch(shard["file"]):
            raise UserError(f"{path}: field file is {shard['file']!r}, no shard's name; {remedy}")
    if manifest["content_hash"] != _content_hash(manifest["splits"]):
        raise UserError(f"{path}: field content_hash is not that of its shards; {remedy}")
    return manifest


def save_manifest(folder: Path, name: str, splits: dict[str, dict]) -> None:
    """Write `manifest.json` and the `dataset_info.json` that makes the folder a TFDS dataset."""
    versions = {p: metadata.version(p) for p in _PACKAGES}
    manifest = {
        "format": FORMAT,
        "name": name,
        "content_hash": _content_hash(splits),
        "versions": versions | {"python": ".".join(map(str, sys.version_info[:3]))},
        "splits": splits,
    }
    # Written by hand, as TFDS's own writer of metadata needs TensorFlow. The file is a protobuf as
    # JSON, in which 64-bit numbers are strings.
    info = {
        "name": name,
        "version": "1.0.0",
        "fileFormat": "array_record",
        "splits": [
            {
                "name": split,
                "shardLengths": [str(s["records"]) for s in facts["shards"]],
                "numBytes": str(sum(s["bytes"] for s in facts["shards"])),
                "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
            }
            for split, facts in sorted(splits.items())
        ],
    }
    atomic_write_text(folder / "dataset_info.json", json.dumps(info, indent=1) + "\n")
    # Last, because its presence means that everything it names is there.
    atomic_write_text(folder / "manifest.json", json.dumps(manifest, indent=1) + "\n")


def _content_hash(splits: dict[str, dict]) -> str:
    # From the shards' hashes, so that a dataset can be named without its data being read.
    lines = [f"{s['file']} {s['sha256']}\n" for x in splits.values() for s in x["shards"]]
    return hashlib.sha256("".join(sorted(lines)).encode()).hexdigest()


def _complete(folder: Path, name: str) -> dict[str, Any]:
    """The manifest of a complete dataset, of one kind where `name` says which."""
    manifest = load_manifest(folder)
    if manifest is None:
        # `.work` tells a stage that was not finished from a folder that is none of ours.
        if (folder / ".work").exists():
            raise UserError(
                f"{folder}: is not complete; run the stage that writes this dataset to its end"
            )
        raise UserError(
            f"{folder}: has no manifest.json; "
            + instead(folder, f"a dataset{name and f' of {name}'}")
        )
    if name and manifest["name"] != name:
        raise UserError(
            f"{folder}: holds a dataset of {manifest['name']}, where one of {name} is wanted; give "
            f"what {_MADE_BY.get(name, 'its stage')} wrote"
        )
    return manifest


def split_facts(folder: Path, split: str, name: str = "") -> SplitFacts:
    """Manifest entry of one split: source, config, seed, records, counts, shards.

    Args:
        folder: of the dataset.
        split: which one.
        name: of the kind that is wanted, such as `spec.EPISODES`; "": any.

    Raises:
        UserError: no such dataset or split, or one of another kind.
    """
    manifest = _complete(folder, name)
    if split not in manifest["splits"]:
        known = ", ".join(sorted(manifest["splits"]))
        raise UserError(f"{folder}: no complete split {split!r}, only {known}; choose one of them")
    return manifest["splits"][split]


def content_hash(folder: str | os.PathLike, name: str = "") -> str:
    """Hash over all shard hashes of a complete dataset; names it as a source of other stages.

    Raises:
        UserError: as `split_facts`.
    """
    return _complete(Path(folder), name)["content_hash"]


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file."""
    with path.open("rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def check_files(folder: Path, facts: SplitFacts) -> None:
    """Compare a split's files with the manifest: sizes always, SHA-256 up to `SMALL_BYTES` in all.

    Raises:
        UserError: a file is missing, cut short or changed.
    """
    shards, features = facts["shards"], folder / "features.json"
    again = f"copy it again from its source, or delete {folder} and run its stage again"
    try:
        if facts.get("features", "") not in ("", file_sha256(features)):
            raise UserError(f"{features}: differs from the hash in manifest.json; {again}")
    except OSError as e:
        raise UserError(f"{features}: cannot be read ({e.strerror}); {again}") from None
    small = sum(s["bytes"] for s in shards) <= SMALL_BYTES
    for shard in shards:
        path = folder / shard["file"]
        if not path.is_file():
            raise UserError(f"{path}: missing although manifest.json names it; {again}")
        size = path.stat().st_size
        # The size first: it is free, and tells a copy that broke off.
        if size != shard["bytes"]:
            raise UserError(f"{path}: {size} bytes where {shard['bytes']} were written; {again}")
        if small and file_sha256(path) != shard["sha256"]:
            raise UserError(f"{path}: content differs from the hash in manifest.json; {again}")
