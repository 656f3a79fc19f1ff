"""A part of a stage's work whose folder is in a bucket.

A bucket holds whole objects; a log is one SQLite file that grows. So each part works in a folder of
its own on this machine, and the bucket has a copy: all files as they were at one moment, sent now
and then and at the end. What a kill costs, the next start makes again.

Parts know of each other by the bucket alone. Whoever finds that all have ended finishes the folder;
two who find it at once write the same.
"""

import contextlib
import logging
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from duomem_jax.base.commandline import LOGGER
from duomem_jax.base.errors import first_line
from duomem_jax.base.io import REMOTE, as_path, clear_remote_errors
from duomem_jax.base.log import open_log
from duomem_jax.base.shard import Shard

FINISHED = "finished"  # an object that says so; `tpu/babysit.sh` looks for it
PAUSE = 60.0  # seconds between two copies
SHARE = 10  # a copy may take one of so many seconds: logs of labels grow to gigabytes
_ENDED, _WORK = ".ended", ".work"  # what is no longer wanted in the end
_LABEL = re.compile(r"\d{5}-of-\d{5}")
_READ_AGAIN = (".json", ".sqlite", ".answers")  # a stage's own files that its next start reads
# Locks, what SQLite keeps beside a file, and files that have not got their names yet.
_PASSING = re.compile(r"lock$|-(wal|shm|journal)$|\.tmp$|^\..+\.[0-9a-f]{16}$")

log = logging.getLogger(f"{LOGGER}.mirror")


class Mirror:
    """What of a folder in a bucket one part has here."""

    def __init__(self, url: str, local: Path, shard: Shard) -> None:
        """Nothing is copied yet.

        Args:
            url: gs://BUCKET/FOLDER.
            local: the folder here; made where it is not there.
            shard: whose files are sent.

        Raises:
            UserError: what speaks to buckets is not installed.
        """
        self._where = as_path(url)
        import fsspec  # which comes with what `as_path` asks for

        self._url, self._local, self._shard = url.rstrip("/"), local, shard
        self._bucket = fsspec.filesystem(REMOTE.partition(":")[0])
        self._sent: dict[str, tuple[int, int]] = {}  # by name, what of it the bucket has

    def fetch(self) -> None:
        """Copy what this part's next start reads: its own files, and what others say of theirs.

        Raises:
            UserError: the bucket refuses.
        """
        with clear_remote_errors(self._where):
            while not self._fetch():
                pass  # another part has just finished the folder, and cleared up

    def _fetch(self) -> bool:
        for name in filter(self._is_needed, self._names()):
            file = self._local / name
            file.parent.mkdir(parents=True, exist_ok=True)
            try:
                self._bucket.get_file(f"{self._url}/{name}", str(file))
            except FileNotFoundError:
                return False
            self._sent[name] = _state(file)
        return True

    def _names(self) -> list[str]:
        """Of the objects, without the folder's own."""
        # Its lists of what is there are kept for ever otherwise, and others write meanwhile.
        self._bucket.invalidate_cache()
        start = len(self._url.removeprefix(REMOTE)) + 1
        return [path[start:] for path in self._bucket.find(self._url)]

    def _is_needed(self, name: str) -> bool:
        path = PurePosixPath(name)
        if path.suffix not in _READ_AGAIN:
            return False
        if self._is_mine(name):
            return not (self._local / name).exists()
        # Facts of finished shards and rows of results, but no log that is still written.
        return path.suffix == ".json" or (path.suffix == ".sqlite" and path.parts[0] != _WORK)

    def _is_mine(self, name: str) -> bool:
        """Whether it is this part's, or the folder's as a whole."""
        labels = _LABEL.findall(name)
        return not labels or self._shard.label in labels

    def send(self) -> None:
        """Copy what has changed to the bucket.

        Raises:
            UserError: the bucket refuses.
        """
        files = (p for p in self._local.rglob("*") if p.is_file() and not _PASSING.search(p.name))
        names = [file.relative_to(self._local).as_posix() for file in files]
        with clear_remote_errors(self._where):
            for name in sorted(filter(self._is_mine, names), key=_turn):
                state = _state(self._local / name)
                if self._sent.get(name) != state:
                    self._put(name)
                    self._sent[name] = state

    def _put(self, name: str) -> None:
        file, to = self._local / name, f"{self._url}/{name}"
        if (written := open_log(file)) is None:
            self._bucket.put_file(str(file), to)
            return
        with tempfile.TemporaryDirectory() as tmp:
            copy = Path(tmp, file.name)
            written.copy(copy)
            self._bucket.put_file(str(copy), to)

    @contextlib.contextmanager
    def sending(self) -> Iterator[None]:
        """Copy what has changed now and then within the block, and however it ends.

        Raises:
            UserError: the bucket refuses.
        """
        over = threading.Event()
        thread = threading.Thread(target=self._send_until, args=(over,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()
            self.send()

    def _send_until(self, over: threading.Event) -> None:
        pause = PAUSE
        while not over.wait(pause):
            start = time.monotonic()
            try:
                self.send()
            except Exception as e:  # of any kind: the work goes on, and the last copy must succeed
                log.warning("%s: not copied this time (%s)", self._url, first_line(e))
            pause = max(PAUSE, SHARE * (time.monotonic() - start))

    def end(self) -> bool:
        """Say that this part has ended; whether all have.

        Raises:
            UserError: the bucket refuses.
        """
        with clear_remote_errors(self._where):
            self._bucket.pipe_file(f"{self._url}/{_ENDED}/{self._shard.label}", b"\n")
            there = set(self._names())
        return there >= {f"{_ENDED}/{shard.label}" for shard in self._shard.siblings()}

    def finish(self) -> None:
        """Say that the folder is whole, and clear up.

        Raises:
            UserError: the bucket refuses.
        """
        with clear_remote_errors(self._where):
            self._bucket.pipe_file(f"{self._url}/{FINISHED}", b"\n")
            for name in self._names():
                if name.startswith((f"{_ENDED}/", f"{_WORK}/")):
                    # By another part that has found the same.
                    with contextlib.suppress(FileNotFoundError):
                        self._bucket.rm_file(f"{self._url}/{name}")


def _state(file: Path) -> tuple[int, int]:
    """What changes with a file."""
    # Units that are new in a log are in a second file at first.
    if (written := open_log(file)) is not None:
        return written.units, -1
    facts = file.stat()
    return facts.st_mtime_ns, facts.st_size


def _turn(name: str) -> tuple[int, str]:
    """What says that other files are there comes behind them."""
    if name == "manifest.json":
        return 2, name
    return int(name.startswith(f"{_WORK}/") and name.endswith(".json")), name
