"""Ask an assistant what it has no answer to yet."""

import contextlib
import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from duomem_jax.base.errors import UserError
from duomem_jax.base.folder import claim_folder
from duomem_jax.base.io import slug
from duomem_jax.base.progress import Progress
from duomem_jax.base.rowlog import RowLog
from duomem_jax.base.shard import WHOLE, Shard
from duomem_jax.evals.dialogues.assistant import Assistant
from duomem_jax.evals.dialogues.show import Page
from duomem_jax.evals.dialogues.subject import Subject
from duomem_jax.evals.replied import ended, usage_of
from duomem_jax.records.answers import Answered
from duomem_jax.records.dialogues import Dialogue, Question
from duomem_jax.records.pictures import PictureFolder
from duomem_jax.records.results import PROTOCOL, refuse_other_protocol
from duomem_jax.speak.protocol import Reply
from duomem_jax.speak.served.server import Server

KIND = "a set of answers"


def ask(
    assistant: Assistant,
    dialogues: Sequence[Dialogue],
    content: str,
    out: str | os.PathLike,
    *,
    seed: int = 0,
    server: Server = Server(),
    shard: Shard = WHOLE,
    pictures: PictureFolder | None = None,
) -> Path:
    """Let an assistant remember each dialogue, then answer all that is asked about it.

    Several dialogues are remembered side by side, each as if it were alone. Run again, it goes on
    where it was stopped: a dialogue is asked about as a whole.

    Args:
        assistant: who is asked.
        dialogues: with their questions.
        content: hash of the folder they are from.
        out: folder; gets `<assistant>.seed<seed>.sqlite` and the stores of what is remembered.
        seed: of the assistant's training.
        server: where and how hard a served model is asked.
        shard: the part of the dialogues.
        pictures: of the dialogues, for an assistant that looks at them.

    Returns:
        The file of answers.

    Raises:
        UserError: a folder cannot be read, or the file is of another configuration.
    """
    claim_folder(out, KIND)
    config = assistant.identity() | {"seed": seed, PROTOCOL: {"dialogues": content}}
    refuse_other_protocol(out, config)
    part = "" if shard.is_whole else f".{shard.label}"
    path = Path(out) / f"{file_name(assistant, seed)}{part}.sqlite"
    with RowLog(path, config, Answered) as log:
        done = {row.dialogue for row in log.rows}
        todo = [d for d in shard.of(list(dialogues)) if d.id not in done and d.questions]
        # A complete run opens no model.
        if todo:
            with (
                at_work(assistant, Path(out), seed, server, pictures) as subject,
                Progress(len(todo), assistant.name, good="", unit="dialogue") as progress,
            ):
                # The facts of one dialogue are decided one by one: its neighbours fill the batch.
                for answers in subject.experts.base.map(lambda d: _answers(subject, d), todo):
                    log.append(*answers)
                    progress.add(True)
    return path


def file_name(assistant: Assistant, seed: int) -> str:
    """What the files of an assistant are called, without an ending."""
    return f"{slug(assistant.name)}.seed{seed}"


@contextlib.contextmanager
def at_work(
    assistant: Assistant,
    out: Path,
    seed: int,
    server: Server,
    pictures: PictureFolder | None = None,
) -> Iterator[Subject]:
    """An assistant with its models, for as long as it is asked.

    Args:
        assistant: who is asked.
        out: folder of answers.
        seed: of the assistant's training.
        server: where and how hard a served model is asked.
        pictures: of the dialogues, for an assistant that looks at them.

    Raises:
        UserError: it is to look at them, and they are not given or its model does not see.
    """
    if assistant.pictures and pictures is None:
        raise UserError("pictures: there are none of these dialogues; omit it")
    record = out / f"{file_name(assistant, seed)}.served"
    with assistant.models.open(server, record) as experts:
        if assistant.pictures and not experts.look.sees:
            raise UserError(
                f"pictures: {assistant.models.model} does not see; give a model that does, or omit "
                "it"
            )
        yield Subject(assistant, experts, out, seed, pictures if assistant.pictures else None)


def _answers(subject: Subject, dialogue: Dialogue) -> list[Answered]:
    """What is answered to each question of a dialogue."""
    pages = subject.pages(dialogue)
    start = time.monotonic()
    replies = subject.replies(dialogue.questions, pages)
    # Questions are answered side by side: each has its share of the time.
    seconds = (time.monotonic() - start) / len(replies)
    return [
        _answered(subject, dialogue, question, page, reply, seconds)
        for question, page, reply in zip(dialogue.questions, pages, replies, strict=True)
    ]


def _answered(
    subject: Subject,
    dialogue: Dialogue,
    question: Question,
    page: Page,
    reply: Reply | None,
    seconds: float,
) -> Answered:
    return Answered(
        subject=subject.assistant.name,
        dialogue=dialogue.id,
        question=question,
        seed=subject.seed,
        answer=reply.text if reply else "",
        shown=tuple(f"[{memo.at}] {memo.text}" for memo in page.memos),
        found=page.found(question),
        share=page.share(dialogue),
        cost=usage_of(reply, seconds),
        ended=ended(reply),
    )
