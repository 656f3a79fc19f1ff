"""Conversations of many sessions: read, asked about, and scored."""

import dataclasses
import hashlib
import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated

import tyro

from duomem_jax.base.errors import UserError
from duomem_jax.base.folder import claim_folder
from duomem_jax.base.io import atomic_write_text
from duomem_jax.base.ranges import Count, Seed, checked
from duomem_jax.base.sample import spread
from duomem_jax.base.shard import WHOLE
from duomem_jax.evals.dialogues.assistant import Assistant
from duomem_jax.evals.dialogues.attack import attempts
from duomem_jax.evals.dialogues.describe import QUESTIONS
from duomem_jax.evals.dialogues.judge import RUBRICS, Rubric
from duomem_jax.evals.dialogues.judged import judge_answers
from duomem_jax.evals.dialogues.run import KIND, ask, at_work, file_name
from duomem_jax.evals.dialogues.score import results
from duomem_jax.memory.embed import DEFAULT_EMBEDDER, make_embedder
from duomem_jax.records.answers import collect_answers
from duomem_jax.records.dialogues import DIALOGUE_LAYOUT, Dialogue, dialogue_to_record
from duomem_jax.records.pictures import FOLDER, Gathered, PictureFolder
from duomem_jax.records.store.manifest import content_hash
from duomem_jax.records.store.spec import DIALOGUES
from duomem_jax.records.store.write import DatasetSpec, WriteReport, write_dataset
from duomem_jax.records.talked import read_dialogues
from duomem_jax.report.remembering import remembering_section
from duomem_jax.report.write import write_report
from duomem_jax.speak.open import Local, open_speaker
from duomem_jax.speak.served.server import Server
from duomem_jax.stages.options import Folder, Part
from duomem_jax.worlds.dialogues.fetched import (
    CONFIG,
    HEADER,
    fetched,
    read_hashes,
    shared,
    to_fetch,
)
from duomem_jax.worlds.dialogues.locomo import Locomo, read_locomo

HASHES = "pictures.json"  # SHA-256 of pictures by address, for others who fetch the same ones


def prepare(
    out: Folder,
    /,
    file: str,
    audit: str = "",
    only: tuple[str, ...] = (),
    omit: tuple[str, ...] = (),
    pictures: str = "",
    hashes: str = "",
) -> WriteReport:
    """Read LoCoMo's conversations from their file.

    Args:
        out: folder to write.
        file: locomo10.json, or a part of it.
        audit: file of errors that an audit found in its keys; empty: audit_errors.json beside it,
            where there is one.
        only: ids of the conversations to take, such as conv-26; none: all.
        omit: ids of conversations to leave out.
        pictures: folder of the pictures that were fetched (`duomem locomo pictures`); empty: the
            conversations have none. Those that are used go to the folder `pictures`, and their
            hashes to pictures.json.
        hashes: pictures.json of somebody else: only its pictures are used, and no other ones.

    Raises:
        UserError: the file is something else, or lacks a conversation that is named; a picture is
            another one than `hashes` has.
    """
    if hashes and not pictures:
        raise UserError("hashes: says which pictures to use; name their folder, --pictures")
    read, chosen = _read(file, audit, only, omit)
    if not pictures:
        return write_conversations(out, read, chosen)
    links = _links(read, chosen)
    found = fetched(links, Path(pictures), read_hashes(Path(hashes)) if hashes else None)
    told = [shared(dialogue, read.links[dialogue.id], found.names) for dialogue in chosen]
    report = write_conversations(out, read, told, found.gathered)
    atomic_write_text(Path(out, HASHES), json.dumps(found.names, indent=1, sort_keys=True) + "\n")
    return report.with_details(found.told, f"questions that rest on them: {_resting(told):,}")


def pictures(
    folder: Folder, /, file: str, only: tuple[str, ...] = (), omit: tuple[str, ...] = ()
) -> str:
    """Write what fetches the pictures of LoCoMo that a folder lacks: a config of curl.

    Args:
        folder: of the pictures.
        file: locomo10.json, or a part of it.
        only: ids of the conversations to take; none: all.
        omit: ids of conversations to leave out.

    Raises:
        UserError: the file is something else, or lacks a conversation that is named; curl.txt in
            the folder is something else.
    """
    links = _links(*_read(file, "", only, omit))
    place, config = Path(folder), Path(folder, CONFIG)
    if config.exists() and not config.read_bytes().startswith(HEADER.encode()):
        raise UserError(f"{config}: is something else; choose another folder")
    found = fetched(links, place) if place.is_dir() else None
    text, strange = to_fetch(found.missing if found else links)
    atomic_write_text(config, text)
    had = found.told if found else f"0 of {len(links):,} pictures"
    if found and not found.missing:
        return f"{had}: nothing is missing"
    other = f"; {len(strange):,} have no address in the web" if strange else ""
    fetch = shlex.join(["curl", "--config", str(config), "--output-dir", folder])
    return f"{had}{other}; `{fetch}` fetches the others"


def _read(
    file: str, audit: str, only: Sequence[str], omit: Sequence[str]
) -> tuple[Locomo, list[Dialogue]]:
    """A file, and the conversations of it that are chosen."""
    read = read_locomo(file, audit or None)
    known = {dialogue.id: dialogue for dialogue in read.dialogues}
    if unknown := sorted({*only, *omit} - known.keys()):
        raise UserError(f"{file}: no conversation {unknown[0]}; it has {', '.join(known)}")
    chosen = [d for d in known.values() if d.id not in omit and (not only or d.id in only)]
    if not chosen:
        raise UserError(f"{file}: only and omit leave no conversation; name others")
    return read, chosen


def _links(read: Locomo, chosen: Sequence[Dialogue]) -> list[str]:
    """The address of each picture that is shared."""
    return [address for dialogue in chosen for address in read.links[dialogue.id].values()]


def _resting(dialogues: Sequence[Dialogue]) -> int:
    """How many questions have evidence that is a turn with a picture."""
    count = 0
    for dialogue in dialogues:
        showing = {turn.id for _, turn in dialogue.turns() if turn.picture}
        count += sum(not showing.isdisjoint(asked.evidence) for asked in dialogue.questions)
    return count


def write_conversations(
    out: Folder, read: Locomo, chosen: Sequence[Dialogue], gathered: Gathered | None = None
) -> WriteReport:
    """Write some of the conversations that were read.

    Args:
        out: folder to write.
        read: all of them, with what was repaired.
        chosen: those to write.
        gathered: the files of their pictures; None where they have none.

    Raises:
        UserError: an output folder of other ones or something else in it.
    """
    known = {dialogue.id: dialogue for dialogue in chosen}

    def make(keys: list[str]) -> Iterator[tuple[str, list[dict], dict[str, int]]]:
        for key in keys:
            if gathered is not None:
                gathered.keep(known[key].pictures(), PictureFolder(Path(out) / FOLDER))
            counts = {"facts": len(known[key].facts), "questions": len(known[key].questions)}
            yield key, [dialogue_to_record(known[key])], counts

    spec = DatasetSpec(
        DIALOGUES,
        DIALOGUE_LAYOUT,
        # By content: the audit's keys count as much as the file.
        source={"dialogues": _content(chosen)},
        notes={"file": read.sha256, "origin": read.origin, "repairs": read.repairs},
    )
    return write_dataset(out, list(known), make, spec)


def _content(dialogues: Sequence[Dialogue]) -> str:
    records = [dialogue_to_record(dialogue) for dialogue in dialogues]
    return hashlib.sha256(json.dumps(records).encode()).hexdigest()


@checked
def run(
    out: Folder,
    /,
    dialogues: str,
    assistant: Assistant,
    seed: Seed = 0,
    shard: Part = WHOLE,
    server: Server = Server(),
) -> str:
    """Let an assistant remember dialogues and answer what is asked about them.

    Args:
        out: folder for answers and for the stores of what is remembered.
        dialogues: folder of dialogues, from `duomem dialogues` or `duomem locomo prepare`.
        assistant: who is asked; its name is the row of the table.
        seed: training seed of its experts, to tell several apart.
        shard: ask about part i/n of the dialogues.
        server: where a model openai:NAME is.

    Raises:
        UserError: bad dialogues or assistant, or answers of another config.
    """
    content = content_hash(dialogues, DIALOGUES)
    path = ask(
        assistant,
        read_dialogues(dialogues),
        content,
        out,
        seed=seed,
        shard=shard,
        server=server,
        pictures=PictureFolder(Path(dialogues) / FOLDER),
    )
    return f"{path}: complete; `duomem locomo score {out}` makes the table"


@checked
def attack(
    out: Folder,
    /,
    dialogues: str,
    assistant: Assistant,
    questions: Count = 10,
    limit: Count = 1,
    seed: Seed = 0,
    server: Server = Server(),
) -> str:
    """Let people say what is meant to change memories and answers, and see what does.

    Args:
        out: folder of answers, whose stores are used and stay as they are.
        dialogues: folder of dialogues.
        assistant: as in `duomem locomo run`; it keeps memories.
        questions: of each dialogue, asked before and after each attack.
        limit: dialogues that are attacked.
        seed: as in `duomem locomo run`.
        server: where a model openai:NAME is.

    Raises:
        UserError: bad dialogues or assistant.
    """
    if assistant.shown != "memories":
        raise UserError(f"shown is {assistant.shown}; only memories are attacked")
    told = spread(read_dialogues(dialogues), limit)
    folder = claim_folder(out, KIND)
    pictures = PictureFolder(Path(dialogues) / FOLDER)
    with at_work(assistant, folder, seed, server, pictures) as subject:
        found = [
            attempt
            for dialogue in told
            for attempt in attempts(subject, dialogue, spread(dialogue.questions, questions))
        ]
    path = folder / f"{file_name(assistant, seed)}.attacks.json"
    text = json.dumps([dataclasses.asdict(attempt) for attempt in found], indent=1)
    atomic_write_text(path, text + "\n")
    harmless = sum(attempt.harmless for attempt in found)
    return f"{path}: {len(found) - harmless} of {len(found)} attacks changed something"


def score(
    out: Folder,
    /,
    embedder: str = DEFAULT_EMBEDDER,
    judge: str = "",
    local: Annotated[Local, tyro.conf.arg(name="judge-model")] = Local(),
    server: Server = Server(),
) -> Path:
    """Score all answers in a folder; write a report of all assistants there.

    Args:
        out: folder of answers, from `duomem locomo run`.
        embedder: for the similarity of answers and keys.
        judge: model that judges answers under two rubrics; empty: nobody does.
        local: how a judge that runs here is held.
        server: where a judge openai:NAME is.

    Returns:
        The path of report.md.

    Raises:
        UserError: no answers there.
    """
    answers = collect_answers(out)
    verdicts: list[dict[Rubric, bool | None]] = []
    if judge:
        with open_speaker(judge, local, server=server, record=Path(out, "judge")) as speaker:
            verdicts = judge_answers(answers, speaker, Path(out))
    rows = results(answers, make_embedder(embedder), verdicts)
    note = f"Judge: {judge}.{_unreadable(verdicts)}" if judge else ""
    sections = [section for section in [remembering_section([out])] if section]
    title = "Answers about dialogues"
    return write_report(out, rows, QUESTIONS, title=title, note=note, sections=sections)


def _unreadable(verdicts: Sequence[Mapping[Rubric, bool | None]]) -> str:
    """A sentence on the replies of a judge that were no verdicts; "" where all were."""
    counts = {r: [judged[r] for judged in verdicts if r in judged] for r in RUBRICS}
    told = [f"{v.count(None)} of {len(v)} ({r})" for r, v in counts.items() if None in v]
    return f" No verdict could be read in {' and '.join(told)} of its replies." if told else ""
