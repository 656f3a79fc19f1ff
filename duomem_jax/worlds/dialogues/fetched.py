"""LoCoMo's pictures: its file names their addresses, and users fetch what is still there.

Nothing is downloaded here. A folder has a file for each address, `file_name`, which `curl` writes
by the config that `to_fetch` makes. Many links are dead: what is missing is counted, never refused.
"""

import logging
import re
import string
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from duomem_jax.base.errors import UserError
from duomem_jax.base.io import read_json, slug
from duomem_jax.base.picture import MOST_BYTES
from duomem_jax.records.dialogues import Dialogue
from duomem_jax.records.pictures import Gathered

NO_FILE, NO_PICTURE, UNLISTED = "without a file", "whose file is no picture", "not listed"
CONFIG = "curl.txt"  # in the folder
HEADER = "# Pictures of LoCoMo, for curl --config"
SECONDS = 120  # for one picture
# All else could end the quotes of a line of the config, and addresses come from others.
_PLAIN = "".join({*string.punctuation} - {'"', "\\"})
_WEB = re.compile("https?://", re.IGNORECASE)
_log = logging.getLogger(__name__)
_SHA256 = re.compile("[0-9a-f]{64}")


@dataclass(frozen=True)
class Fetched:
    """What a folder has of the pictures that are wanted.

    Attributes:
        wanted: how often each picture is, by address.
        names: of the pictures that are there, by address.
        missing: why the others are not, by address: `NO_FILE`, `NO_PICTURE` or `UNLISTED`.
        gathered: the files of those that are there.
    """

    wanted: Counter[str]
    names: dict[str, str]
    missing: dict[str, str]
    gathered: Gathered

    @property
    def told(self) -> str:
        """How many are there, and why the others are not."""
        there = sum(self.wanted[address] for address in self.names)
        told = [f"{there:,} of {self.wanted.total():,} pictures"]
        for reason in (NO_FILE, NO_PICTURE, UNLISTED):
            found = [address for address, why in self.missing.items() if why == reason]
            if found:
                count = sum(self.wanted[address] for address in found)
                told.append(f"{count:,} {reason}, such as {file_name(found[0])}")
        return "; ".join(told)


def file_name(address: str) -> str:
    """The name of the file of a picture: letters, digits and hyphens, whatever the address has."""
    return slug(address)


def fetched(
    addresses: Iterable[str], folder: Path, listed: Mapping[str, str] | None = None
) -> Fetched:
    """Look at the pictures that a folder has.

    Args:
        addresses: of the pictures that are wanted; one may come several times.
        folder: of files.
        listed: the SHA-256 that each is to have, by address; one that has none is left out.

    Raises:
        UserError: no such folder; a picture is another one than is listed.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: no such folder; `duomem locomo pictures {folder}` begins one")
    wanted, gathered = Counter(addresses), Gathered()
    names: dict[str, str] = {}
    missing: dict[str, str] = {}
    for address in wanted:
        file = folder / file_name(address)
        if listed is not None and address not in listed:
            missing[address] = UNLISTED
        elif not file.exists():
            missing[address] = NO_FILE
        else:
            try:
                names[address] = gathered.look(file)
            except UserError as e:
                missing[address] = NO_PICTURE
                _log.info("%s", e)
    if listed is not None:
        _check(names, listed, folder)
    return Fetched(wanted, names, missing, gathered)


def _check(names: Mapping[str, str], listed: Mapping[str, str], folder: Path) -> None:
    others = [folder / file_name(a) for a, name in names.items() if listed[a] != name]
    if others:
        raise UserError(
            f"{others[0]}: is another picture than the list of hashes has, as {len(others):,} of "
            f"{len(names):,} are; fetch it again, or delete it to go on without it"
        )


def read_hashes(path: Path) -> dict[str, str]:
    """The SHA-256 of pictures, by address.

    Raises:
        UserError: no such file, or it holds something else.
    """
    remedy = "give pictures.json of a folder that `duomem locomo prepare --pictures` wrote"
    listed = read_json(path, missing=remedy, damaged=remedy, form=dict[str, str])
    for address, name in listed.items():
        if not _SHA256.fullmatch(name):
            raise UserError(f"{path}: has {name!r} for {address}, which is no SHA-256; {remedy}")
    return listed


def shared(dialogue: Dialogue, links: Mapping[str, str], names: Mapping[str, str]) -> Dialogue:
    """A dialogue with its pictures.

    Args:
        dialogue: as it was read.
        links: addresses, by the turns that share them.
        names: of the pictures that are there, by address.
    """
    sessions = (
        replace(
            session,
            turns=tuple(
                replace(turn, picture=names.get(links.get(turn.id, ""), ""))
                for turn in session.turns
            ),
        )
        for session in dialogue.sessions
    )
    return replace(dialogue, sessions=tuple(sessions))


def to_fetch(addresses: Iterable[str]) -> tuple[str, list[str]]:
    """A config of curl that fetches pictures, and the addresses that are not of the web."""
    wanted = list(dict.fromkeys(addresses))
    web = [address for address in wanted if _WEB.match(address)]
    lines = [
        HEADER,
        # No pages that say why a picture is not there.
        "fail",
        "location",
        'proto = "=http,https"',
        'proto-redir = "=http,https"',
        "globoff",  # brackets mean themselves
        "parallel",
        f"max-time = {SECONDS}",
        f"max-filesize = {MOST_BYTES}",
    ]
    for address in web:
        lines += [
            f'url = "{quote(address, _PLAIN, errors="replace")}"',
            f'output = "{file_name(address)}"',
        ]
    return "\n".join(lines) + "\n", [address for address in wanted if address not in {*web}]
