"""One property of every reader: damaged input gives a right result or one `UserError`."""

import contextlib
import fnmatch
import logging
import random
import shutil
import signal
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from damage import Damage, Place, damages, with_value
from hypothesis import HealthCheck, Phase, given, seed, settings

from duomem_jax.base.errors import UserError

SECONDS = 0.9  # for each of some sixty readers: a minute in all
SLOW_SECONDS = 9.0  # ten minutes in all
_EXAMPLES = 25  # between two looks at the clock
_HANGS = 60  # seconds after which a reader is taken to hang
_MOST_WARNINGS = 20
_LONGEST = 2000  # letters of a sentence that a person is to read


# A file's content, what is in its place, or (path, value) of its JSON.
Found = bytes | Place | tuple[str, Any]


@dataclass(frozen=True)
class Reader:
    """Something that reads a file of a user's.

    Attributes:
        name: of the reader and the file.
        valid: the fixture that has a good folder.
        file: in that folder, the one that is damaged; a pattern where its name is not known.
        kind: of file, one of `damage.KINDS`.
        read: all that a command would read, as a value that can be compared.
        sealed: a checksum covers it, so that every result is that of the good file.
        leaves: what the reader may leave or change beside the file, as patterns.
    """

    name: str
    valid: str
    file: str
    kind: str
    read: Callable[[Path], Any]
    sealed: bool = False
    leaves: tuple[str, ...] = ()


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): b"" if file.is_dir() else file.read_bytes()
        for file in sorted(folder.rglob("*"))
    }


@contextlib.contextmanager
def _watched() -> Iterator[None]:
    """Fail where something hangs, or says the same again and again."""
    said: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    def give_up(*_: object) -> None:
        raise AssertionError(f"still not done after {_HANGS} s")

    listener, before = Listener(logging.WARNING), signal.signal(signal.SIGALRM, give_up)
    logging.getLogger().addHandler(listener)
    signal.alarm(_HANGS)
    try:
        with warnings.catch_warnings(record=True) as caught:
            yield
        said += [str(w.message) for w in caught]
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
        logging.getLogger().removeHandler(listener)
    assert len(said) <= _MOST_WARNINGS, said[:3]


def read_copy(reader: Reader, valid: Path) -> Any:
    """What a reader makes of a good folder."""
    with tempfile.TemporaryDirectory() as root:
        shutil.copytree(valid, Path(root, "good"))
        return reader.read(Path(root, "good"))


def check(reader: Reader, valid: Path, right: Any, damage: Damage) -> None:
    """The property, for one damage to a copy of a good folder of which `right` is read."""
    with tempfile.TemporaryDirectory() as root:
        bad = Path(root, "bad")
        shutil.copytree(valid, bad)
        (file,) = bad.glob(reader.file)
        damage.apply(file)
        before = files(bad)
        try:
            with _watched():
                found = reader.read(bad)
        except UserError as e:
            sentence = str(e)
            assert "\n" not in sentence, sentence
            assert len(sentence) < _LONGEST, sentence
            # A checksum is of bytes, whatever they say.
            assert reader.sealed or not damage.harmless, sentence
            _unchanged(reader, before, files(bad))
            return
        _unchanged(reader, before, files(bad))
        if damage.harmless or reader.sealed:
            assert found == right


def check_found(reader: Reader, valid: Path, found: Found) -> None:
    """`check` on a damage that was met once."""
    (file,) = valid.glob(reader.file)
    damage = Damage("found", found) if isinstance(found, bytes | Place) else None
    check(reader, valid, None, damage or with_value(file.read_bytes(), *found))


def _unchanged(reader: Reader, before: dict[str, bytes], after: dict[str, bytes]) -> None:
    changed = {
        name
        for name in before.keys() | after.keys()
        if before.get(name) != after.get(name)
        and not any(fnmatch.fnmatch(name, pattern) for pattern in reader.leaves)
    }
    assert not changed, f"the reader changed {sorted(changed)}"


def check_for(reader: Reader, valid: Path, seconds: float, first_seed: int) -> int:
    """`check` on as many damages as there is time for; how many."""
    (file,) = valid.glob(reader.file)
    right = read_copy(reader, valid)
    # Only now: whatever is first read has to be imported and compiled.
    end, count, failed = time.monotonic() + seconds, 0, False

    @settings(
        max_examples=_EXAMPLES,
        deadline=None,
        database=None,
        # Each damage is a single one already: nothing is to be made smaller.
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    @given(damages(reader.kind, file.read_bytes()))
    def some(damage: Damage) -> None:
        nonlocal count, failed
        # What failed is tried again to be shown, however late it is then.
        if time.monotonic() < end or failed:
            count, failed = count + 1, True
            check(reader, valid, right, damage)
            failed = False

    # The seeds are in order: what runs is the same on every machine, only its number differs.
    number = first_seed
    while time.monotonic() < end:
        seed(number)(some)()
        number += 1
    return count


def short_and_long(
    readers: Sequence[Reader], slow: Sequence[Reader] = ()
) -> tuple[Callable, Callable]:
    """Two tests of some readers: a short one, and a long one, which those in `slow` have too."""

    @pytest.mark.parametrize("reader", readers, ids=lambda reader: reader.name)
    def short(reader, request):
        check_for(reader, request.getfixturevalue(reader.valid), SECONDS, 0)

    @pytest.mark.slow
    @pytest.mark.parametrize("reader", [*readers, *slow], ids=lambda reader: reader.name)
    def long(reader, request):
        valid = request.getfixturevalue(reader.valid)
        check_for(reader, valid, SLOW_SECONDS, random.randrange(2**40))

    return short, long
