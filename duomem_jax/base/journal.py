"""An append-only log of finished work, so that a killed writer loses at most one unit.

ArrayRecord files cannot be appended to: their index is written on closing. Units therefore go
to this log first, and one shard file is written from it when all of them are there.
"""

import errno
import fcntl
import json
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from duomem_jax.base.errors import UserError
from duomem_jax.base.io import clear_os_errors

_HEAD = struct.Struct("<QI")  # payload length, crc32 of the payload
_LEN = struct.Struct("<Q")


class Journal:
    """Units of records by key: `append(key, records, counts)`, then `read(key)`.

    Every unit is written whole with its checksum; on opening, a torn tail is cut off. The file
    is locked while open, so two writers of the same shard cannot mix.

    Raises:
        UserError: another process has it open, or the disk is full.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with clear_os_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            # Unbuffered: a write that fails must not be tried again on closing.
            self._file = open(path, "a+b", buffering=0)  # noqa: SIM115 - closed by close()
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as e:
            self._file.close()
            if e.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            raise UserError(
                f"{path}: another process is writing this shard; wait for it or give this one "
                "a different shard number"
            ) from e
        self._offsets: dict[str, tuple[int, int]] = {}
        self.counts: dict[str, int] = {}
        self._end = 0
        for end, key, counts in self._scan():
            self._note(key, end, counts)
        self._file.truncate(self._end)

    def _scan(self) -> Iterator[tuple[int, str, dict]]:
        """(end offset, key, counts) of each whole unit from the start of the file."""
        with open(self._path, "rb") as file:
            while len(head := file.read(_HEAD.size)) == _HEAD.size:
                length, crc = _HEAD.unpack(head)
                payload = file.read(length)
                if len(payload) < length or zlib.crc32(payload) != crc:
                    return
                key, counts, _ = _decode(payload)
                yield file.tell(), key, counts

    def _note(self, key: str, end: int, counts: dict[str, int]) -> None:
        self._offsets[key] = (self._end, end)
        self._end = end
        for name, n in counts.items():
            self.counts[name] = self.counts.get(name, 0) + n

    def __contains__(self, key: str) -> bool:
        return key in self._offsets

    def __len__(self) -> int:
        return len(self._offsets)

    def keys(self) -> list[str]:
        """Keys in sorted order, so that the result does not depend on the order of finishing."""
        return sorted(self._offsets)

    def append(self, key: str, records: list[bytes], counts: dict[str, int]) -> None:
        """Add one unit; a key already there is an error of the caller."""
        if key in self._offsets:
            raise ValueError(f"{key} is already in {self._path}")
        payload = _encode(key, counts, records)
        with clear_os_errors(self._path):
            # The page cache outlives a killed process; a power cut is caught by the checksum.
            unit = memoryview(_HEAD.pack(len(payload), zlib.crc32(payload)) + payload)
            try:
                while unit:
                    unit = unit[self._file.write(unit) :]
            except BaseException:
                self._file.truncate(self._end)  # whoever goes on must not append to a torn unit
                raise
        self._note(key, self._end + _HEAD.size + len(payload), counts)

    def read(self, key: str) -> list[bytes]:
        """The records of one unit."""
        start, end = self._offsets[key]
        payload = os.pread(self._file.fileno(), end - start - _HEAD.size, start + _HEAD.size)
        return _decode(payload)[2]

    def close(self) -> None:
        """Release the lock; the file stays."""
        self._file.close()


def _encode(key: str, counts: dict[str, int], records: list[bytes]) -> bytes:
    parts = [json.dumps([key, counts]).encode(), *records]
    return b"".join(_LEN.pack(len(p)) + p for p in parts)


def _decode(payload: bytes) -> tuple[str, dict[str, int], list[bytes]]:
    parts, at = [], 0
    while at < len(payload):
        (n,) = _LEN.unpack_from(payload, at)
        parts.append(payload[at + _LEN.size : at + _LEN.size + n])
        at += _LEN.size + n
    key, counts = json.loads(parts[0])
    return key, counts, parts[1:]
