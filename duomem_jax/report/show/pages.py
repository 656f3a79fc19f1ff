"""One record of a dataset as an HTML page."""

from pathlib import Path

from duomem_jax.base.errors import UserError
from duomem_jax.records.dialogues import dialogue_from_record
from duomem_jax.records.episodes import episode_from_record
from duomem_jax.records.memories import memory_from_record
from duomem_jax.records.store import spec
from duomem_jax.records.store.reader import read_dataset
from duomem_jax.report.page import dialogue_frames, episode_frames, write_page
from duomem_jax.report.show.things import Which, picked_records


def write_shown(path: Path, which: Which, out: Path, bank: str = "") -> str:
    """Write the first record that is meant as a page.

    Args:
        path: a dataset of episodes or dialogues.
        which: record of it.
        out: file to write.
        bank: folder of the memories that were shown; "": their ids alone appear.

    Returns:
        What was written, in words.

    Raises:
        UserError: another kind of thing, or no such record.
    """
    kind, (record, *_) = picked_records(path, which)
    if kind == spec.EPISODES:
        episode = episode_from_record(record)
        title, frames = episode.task, list(episode_frames(episode, _texts(bank)))
    elif kind == spec.DIALOGUES:
        dialogue = dialogue_from_record(record)
        title, frames = " and ".join(dialogue.speakers), list(dialogue_frames(dialogue))
    else:
        raise UserError(f"{path}: holds {kind}; a page is made of episodes or dialogues")
    write_page(out, title, frames)
    return f"{out}: {len(frames)} steps; open it in a browser"


def _texts(bank: str) -> dict[str, str]:
    if not bank:
        return {}
    records = read_dataset(bank, spec.SPLIT, spec.MEMORIES)
    return {m.id: m.text for m in map(memory_from_record, records)}
