"""JSON Lines in and out: data of others, and data for others."""

import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from duomem_jax.base.errors import UserError
from duomem_jax.base.io import atomic_file, check_free
from duomem_jax.data.sources import Demonstrations
from duomem_jax.records.chat import pictures_of
from duomem_jax.records.demonstrations import (
    DEMONSTRATION_LAYOUT,
    SEEN_LAYOUT,
    demonstration_to_record,
)
from duomem_jax.records.dialogues import DIALOGUE_LAYOUT, Dialogue, dialogue_to_record
from duomem_jax.records.episodes import Episode
from duomem_jax.records.lines.chats import chat_line, read_chat_lines
from duomem_jax.records.lines.dialogues import dialogue_line, read_dialogue_lines
from duomem_jax.records.lines.episodes import episode_line, read_episode_lines
from duomem_jax.records.pictures import FOLDER, Gathered, PictureFolder
from duomem_jax.records.played import read_episodes, write_episodes
from duomem_jax.records.store.manifest import file_sha256, load_manifest
from duomem_jax.records.store.spec import DEMONSTRATIONS, DIALOGUES, EPISODES, PICTURES
from duomem_jax.records.store.write import DatasetSpec, WriteReport, write_dataset
from duomem_jax.records.talked import read_dialogues
from duomem_jax.records.there import instead
from duomem_jax.stages.options import Folder
from duomem_jax.text.turns import episode_messages
from duomem_jax.worlds import DEFAULT, open_world

Kind = Literal["episodes", "dialogues", "chats"]
T = TypeVar("T")
_UNITS = 100  # records that are stored at once


def import_(out: Folder, /, file: str, kind: Kind, world: str = DEFAULT) -> WriteReport:
    """Read episodes, conversations or chats of others from JSON Lines (docs/own_data.md).

    Args:
        out: folder to write, as `duomem play`, `dialogues` and `demonstrations` write theirs.
        file: one JSON object a line.
        kind: what the lines are.
        world: where episodes were played; it names their kinds and tells a player the rules.

    Raises:
        UserError: a line is something else; the output folder is of another file.
    """
    path = Path(file)
    if kind == "episodes":
        open_world(world)
        return _import_episodes(out, read_episode_lines(path, world), _source(path), world)
    if kind == "dialogues":
        return _import_dialogues(out, path)
    return _import_chats(out, path)


def _source(path: Path) -> dict[str, str]:
    """The identity of a file that was read."""
    return {"sha256": file_sha256(path)}


def _import_episodes(
    out: str, episodes: Sequence[Episode], source: dict[str, Any], world: str
) -> WriteReport:
    wanted = {(e.game_id, e.seed): e for e in episodes}
    return write_episodes(
        out,
        list(wanted),
        lambda missing: [wanted[key] for key in missing],
        source=source,
        config={"imported": EPISODES, "world": world},
        seed=0,
    )


def _import_dialogues(out: str, path: Path) -> WriteReport:
    gathered, pictures = Gathered(), PictureFolder(Path(out) / FOLDER)
    dialogues = read_dialogue_lines(path, gathered)

    def to_record(dialogue: Dialogue) -> dict[str, Any]:
        # Not before the folder is known to be free.
        gathered.keep(dialogue.pictures(), pictures)
        return dialogue_to_record(dialogue)

    spec = DatasetSpec(
        DIALOGUES,
        DIALOGUE_LAYOUT,
        # The lines name paths; what is there may be replaced.
        source=_source(path) | ({PICTURES: gathered.content} if gathered.content else {}),
        config={"imported": DIALOGUES},
    )
    return _write(out, dialogues, to_record, spec)


def _import_chats(out: str, path: Path) -> WriteReport:
    chats = read_chat_lines(path)
    seen = any(pictures_of(message) for shown in chats for message in shown.messages)
    to_record = functools.partial(demonstration_to_record, seen=seen)
    layout = SEEN_LAYOUT if seen else DEMONSTRATION_LAYOUT
    # Paths are kept as they are written, so that the same lines make the same dataset anywhere.
    notes = {PICTURES: str(path.parent.resolve())} if seen else {}
    spec = DatasetSpec(
        DEMONSTRATIONS,
        layout,
        source=_source(path),
        config={"imported": DEMONSTRATIONS},
        notes=notes,
    )
    return _write(out, chats, to_record, spec)


def _write(
    out: str, items: Sequence[T], to_record: Callable[[T], dict[str, Any]], spec: DatasetSpec
) -> WriteReport:
    width = len(str(len(items)))
    starts = {f"{i:0{width}}": i for i in range(0, len(items), _UNITS)}

    def make(keys: list[str]) -> Iterator[tuple[str, list[dict], dict[str, int]]]:
        for key in keys:
            part = items[starts[key] : starts[key] + _UNITS]
            yield key, list(map(to_record, part)), {}

    return write_dataset(out, list(starts), make, spec)


def dump(folder: Folder, /, file: str, chats: bool = False) -> str:
    """Write episodes, conversations or chats as JSON Lines, which `duomem import` reads.

    Args:
        folder: what `duomem play`, `dialogues`, `demonstrations` or `import` wrote.
        file: to write; nothing may be there.
        chats: episodes as chats with their replies, in the form that trainers and servers take.

    Raises:
        UserError: the folder holds something else; there is a file.
    """
    out = Path(file)
    lines = _lines(Path(folder), out.parent, chats)
    check_free(out)
    count = 0
    with atomic_file(out) as f:
        for line in lines:
            f.write(json.dumps(line, ensure_ascii=False).encode() + b"\n")
            count += 1
    return f"{out}: {count:,} lines"


def _lines(folder: Path, place: Path, chats: bool) -> Iterator[Mapping[str, Any]]:
    """What a folder holds, a line for each record, for a file in the folder `place`."""
    manifest = load_manifest(folder)
    kind = manifest["name"] if manifest else ""
    if kind == EPISODES:
        episodes = read_episodes(folder)
        if chats:
            return (chat_line(episode_messages(e)) for e in episodes)
        return map(episode_line, episodes)
    if kind == DIALOGUES and not chats:
        shared = PictureFolder(folder / FOLDER)
        return (dialogue_line(d, shared, place) for d in read_dialogues(folder))
    if kind == DEMONSTRATIONS:
        shown = Demonstrations([str(folder)])
        return (chat_line(d.messages) for d in shown.block(0, 1))
    wanted = "episodes" if chats else "a dataset of episodes, dialogues or demonstrations"
    raise UserError(f"{folder}: {instead(folder, wanted)}")
