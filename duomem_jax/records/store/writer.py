"""Datasets as ArrayRecord shards that TFDS reads, written by stages that may be killed.

A split of n shards is written by up to n processes. Each keeps its finished units in a log
(`.work/`), turns the log into its one shard file at the end, and the process that completes the
set writes `features.json`, `dataset_info.json` and `manifest.json`. ArrayRecord files themselves
cannot be appended to: their index is written on closing.
"""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock

from duomem_jax.base.disk import explain_full_disk
from duomem_jax.base.errors import UserError
from duomem_jax.base.io import atomic_write_text, clear_os_errors, read_json
from duomem_jax.base.lock import LOCK
from duomem_jax.base.log import Log
from duomem_jax.base.shard import WHOLE, Shard
from duomem_jax.records.store.features import serializer, to_tfds
from duomem_jax.records.store.manifest import (
    FinishedShard,
    file_sha256,
    load_manifest,
    save_manifest,
)
from duomem_jax.records.store.spec import DatasetSpec, WriteReport, refuse_difference


class ShardWriter:
    """Writes one shard of a split, unit by unit; a context manager.

        with ShardWriter(folder, spec, Shard(0, 4)) as writer:
            for key in keys:
                if key not in writer:
                    writer.add(key, [record], {"tokens": 7})
            report = writer.finish()

    A unit is any number of records under one key; records end up sorted by key. `key in writer`
    is always true once the shard is finished.

    Raises:
        UserError: the folder belongs to another config, another process writes this shard, or
            the disk is full.
    """

    def __init__(self, folder: str | os.PathLike, spec: DatasetSpec, shard: Shard = WHOLE) -> None:
        self.folder, self.spec, self.shard = Path(folder), spec, shard
        self._work = self.folder / ".work"
        self._report: WriteReport | None = None
        self._log: Log | None = None  # None once this shard is finished
        # Held only for a look: the shard itself is guarded by the lock of its log.
        with self._folder_lock():
            if self._is_complete():
                self._report = self._complete_report("already complete")
            elif not self._facts_path(shard).exists():
                self._log = Log(self._facts_path(shard).with_suffix(".sqlite"))
        # TFDS is imported only where something is still to be written.
        if self._log is not None:
            self._serialize = serializer(spec.layout)

    def __enter__(self) -> "ShardWriter":
        return self

    def __exit__(self, *exc: object) -> None:
        if self._log is not None:
            self._log.close()

    def __contains__(self, key: str) -> bool:
        return self._log is None or key in self._log

    def add(self, key: str, records: Iterable[dict], counts: dict[str, int] | None = None) -> None:
        """Store one finished unit; `counts` are summed over units into the manifest."""
        if self._log is None:
            raise ValueError(f"{self.folder}: shard {self.shard} is finished")
        self._log.append(key, [self._serialize(r) for r in records], counts or {})

    def finish(self) -> WriteReport:
        """Write this shard's file and, when it is the last one, the manifest."""
        # Outside the folder's lock: the shards of other processes are written at the same time.
        if self._log is not None:
            self._write_shard(self._log)
            self._log.close()
            self._log = None
        with self._folder_lock():
            if self._report is not None:
                return self._report
            if self._is_complete():  # by another process, meanwhile
                return self._complete_report("already complete")
            missing = [s for s in self.shard.siblings() if not self._facts_path(s).exists()]
            # Under the lock, so that exactly one process finds the set complete and closes it.
            if not missing:
                self._complete()
                return self._complete_report("written")
            facts = self._read_facts(self.shard)
        others = ", ".join(map(str, missing))
        return WriteReport(
            "waiting",
            facts["records"],
            facts["counts"],
            f"{self.folder}: shard {self.shard} holds {facts['records']:,} {self.spec.unit}; still "
            f"to be written: {others}",
        )

    def _facts_path(self, shard: Shard) -> Path:
        return self._work / f"{self.spec.split}-{shard.label}.json"

    def _read_facts(self, shard: Shard) -> dict[str, Any]:
        path = self._facts_path(shard)
        remedy = "delete it and write that shard again"
        return read_json(path, missing=remedy, damaged=remedy, form=FinishedShard)

    @contextlib.contextmanager
    def _folder_lock(self) -> Iterator[None]:
        """Only one process at a time looks at, or changes, what the folder as a whole says."""
        with clear_os_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            with FileLock(self.folder / LOCK):
                yield

    def _is_complete(self) -> bool:
        """Whether the split is; refuses a foreign folder and claims an empty one."""
        manifest = load_manifest(self.folder)
        known = manifest and manifest["splits"].get(self.spec.split)
        mine = self.spec.identity
        where = f"{self.folder}: split {self.spec.split!r}"
        if manifest and manifest["name"] != self.spec.name:
            raise UserError(
                f"{self.folder}: holds the dataset {manifest['name']!r}, not "
                f"{self.spec.name!r}; choose another output folder"
            )
        if known:
            # Names were compared above; an entry of the manifest does not repeat it.
            refuse_difference(where, mine, known | {"name": self.spec.name})
            return True
        begun = self._work / f"{self.spec.split}.identity.json"
        # Until it is complete: shards of another count would cover other units.
        mine |= {"shards": self.shard.count}
        if begun.exists():
            remedy = f"delete {self._work} and run the stage again"
            refuse_difference(where, mine, read_json(begun, missing=remedy, damaged=remedy))
        # A folder that has a manifest or `.work` is ours, and may take another split.
        elif manifest is None and not self._work.exists() and _has_files(self.folder):
            raise UserError(f"{self.folder}: holds other files; choose an empty output folder")
        else:
            atomic_write_text(begun, json.dumps(mine, indent=1))
        return False

    def _write_shard(self, log: Log) -> None:
        name = f"{self.spec.name}-{self.spec.split}.array_record-{self.shard.label}"
        path = self.folder / name
        # By sorted key: the file has the same bytes whatever order units were finished in.
        records = (r for key in log.keys() for r in log.read(key))  # noqa: SIM118
        written = write_array_record(path, records, compress=self.spec.compress)
        facts = {
            "file": name,
            "records": written,
            "bytes": path.stat().st_size,
            "sha256": file_sha256(path),
            "counts": dict(sorted(log.counts.items())),
        }
        # Last: these facts are what makes the shard count as finished.
        atomic_write_text(self._facts_path(self.shard), json.dumps(facts))

    def _complete(self) -> None:
        """Gather the shards' facts into the manifest, then drop the logs."""
        manifest = load_manifest(self.folder)
        splits = manifest["splits"] if manifest else {}
        facts = [self._read_facts(s) for s in self.shard.siblings()]
        counts: dict[str, int] = {}
        for f in facts:
            for key, n in f.pop("counts").items():
                counts[key] = counts.get(key, 0) + n
        mine = self.spec.identity
        del mine["name"]
        total = sum(f["records"] for f in facts)
        mine |= {"notes": self.spec.notes} if self.spec.notes else {}
        mine |= {"features": self._save_features(known=manifest is not None)}
        splits[self.spec.split] = mine | {"records": total, "counts": counts, "shards": facts}
        # Before the logs go: after a kill between the two the dataset is whole.
        save_manifest(self.folder, self.spec.name, splits)
        # A hyphen follows in a shard's files, a dot in the identity; other splits are spared.
        for path in self._work.glob(f"{self.spec.split}[-.]*"):
            path.unlink()
        if not any(self._work.iterdir()):
            self._work.rmdir()

    def _save_features(self, *, known: bool) -> str:
        """Write the fields that TFDS reads; the SHA-256 of their file."""
        # TFDS can only write its description to a folder; the text is compared before it is kept.
        with tempfile.TemporaryDirectory() as tmp:
            to_tfds(self.spec.layout).save_config(tmp)
            text = (Path(tmp) / "features.json").read_text()
        path = self.folder / "features.json"
        if known and (not path.is_file() or path.read_bytes() != text.encode()):
            raise UserError(
                f"{path}: other splits of this dataset have other fields; choose another folder"
            )
        atomic_write_text(path, text)
        return file_sha256(path)

    def _complete_report(self, status: str) -> WriteReport:
        manifest = load_manifest(self.folder)
        assert manifest is not None
        facts = manifest["splits"][self.spec.split]
        count = f"{facts['records']:,} {self.spec.unit}"
        told = f"{count} written" if status == "written" else f"{status}, {count}"
        return WriteReport(
            status,
            facts["records"],
            facts["counts"],
            f"{self.folder}: {told}",
        )


def write_array_record(path: Path, records: Iterable[bytes], *, compress: bool) -> int:
    """Write one ArrayRecord file whole or not at all; the number of records.

    `group_size:1` because training reads records at random.

    Raises:
        UserError: the disk is full.
    """
    from array_record.python import array_record_module

    # A fixed name: a shard has one writer, and what a killed one left is written over.
    tmp = path.with_name(f".{path.name}.tmp")
    count = 0
    try:
        with explain_full_disk(path):
            writer = array_record_module.ArrayRecordWriter(
                str(tmp), "group_size:1" if compress else "group_size:1,uncompressed"
            )
            for record in records:
                writer.write(record)
                count += 1
            writer.close()
            os.replace(tmp, path)
    except BaseException:
        tmp.unlink(missing_ok=True)
        raise
    return count


def _has_files(folder: Path) -> bool:
    # The lock is our own, taken before this look.
    return any(p.name != LOCK for p in folder.iterdir())
