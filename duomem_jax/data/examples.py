"""The stage from episodes or demonstrations to packed training rows."""

import collections
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from duomem_jax.base.errors import UserError
from duomem_jax.base.shard import WHOLE, Shard
from duomem_jax.data.pack import Conversation, pack_examples
from duomem_jax.data.pictures import StoredSight
from duomem_jax.data.rows import PictureRoom, Record, RowFormat
from duomem_jax.data.sources import Source
from duomem_jax.records.chat import Chat, pictures_of
from duomem_jax.records.episodes import Episode
from duomem_jax.records.store.spec import PICTURES, ROWS
from duomem_jax.records.store.write import DatasetSpec, WriteReport, write_dataset
from duomem_jax.text.alignment import Aligner
from duomem_jax.text.tokenizer import (
    chat_tokens,
    tokenizer_fingerprint,
    vocabulary_fingerprint,
)

# Conversations tokenised and packed together. A killed writer repeats at most this many (seconds);
# smaller blocks would leave more rows half empty.
BLOCK = 1024


class Guidelines(Protocol):
    """What stands before an episode's first observation; `memory.show` has the real one."""

    @property
    def config(self) -> dict[str, Any]:
        """JSON identity, part of the dataset's config."""

    def __call__(self, episodes: list[Episode]) -> list[str]:
        """One text per episode, "" for none; must not depend on the grouping of episodes."""


@dataclass(frozen=True)
class View:
    """How one model reads what is packed."""

    tokenizer: Any  # from `load_tokenizer`
    length: int  # tokens a row
    system: str = ""  # content of the system message
    guidelines: Guidelines | None = None  # memories before the first observation
    made_for: int = 0  # tokens that its model can read, which are counted beyond; 0: not known
    sight: StoredSight | None = None  # of its model; None: it reads words alone
    room: int = 0  # tiles of pictures that a row has room for

    def config(self) -> dict[str, Any]:
        """JSON identity, part of the dataset's config."""
        config = {
            "length": self.length,
            "system": self.system,
            # The chat template is part of this one: another template makes another dataset.
            # Training compares `vocabulary` alone with its models (`train.plan`).
            "tokenizer": tokenizer_fingerprint(self.tokenizer),
            "vocabulary": vocabulary_fingerprint(self.tokenizer),
            "guidelines": self.guidelines.config if self.guidelines else None,
        }
        if self.sight is None:
            return config
        facts = self.sight.pictures.facts
        seen = {"content": facts.content, "model": facts.model, "tiles": self.room}
        return config | {PICTURES: seen}

    @property
    def picture_room(self) -> PictureRoom | None:
        """What pictures may take of a row."""
        if self.sight is None:
            return None
        facts = self.sight.pictures.facts
        return PictureRoom(self.room, facts.tile_tokens, facts.image_token)

    def read(self, chats: list[Chat]) -> list[Conversation]:
        """Chats as its model reads them."""
        examples = chat_tokens(self.tokenizer).conversations(chats, self.sight)
        if self.sight is None:
            return [Conversation(example) for example in examples]
        parts = [[p for message in chat for p in pictures_of(message)] for chat in chats]
        found = [
            Conversation(example, tiles=self.sight.pictures.tiles(own))
            for example, own in zip(examples, parts, strict=True)
        ]
        room = self.picture_room
        assert room is not None
        # The k-th picture token takes the k-th feature, whatever else a tokenizer makes of them.
        if any(
            c.student.tokens.count(room.image_token) != room.tokens(len(c.tiles)) for c in found
        ):
            raise UserError(
                f"tokenizer: does not spell pictures with the token {room.image_token}, which its "
                "model's config.json names; take the model's own"
            )
        return found


def build_examples(
    source: Source,
    out: str | os.PathLike,
    student: View,
    teacher: View | None = None,
    *,
    shard: Shard = WHOLE,
) -> WriteReport:
    """Tokenise, mask and pack what is to be learnt into rows of fixed length.

    The loss covers replies and their end of turn, nothing that the student only reads. Resumes
    where it stopped; finished, it does nothing. Longer conversations are cut after their last
    whole turn that fits and counted, and so are those with more pictures than a row has room for.

    Args:
        source: won episodes or demonstrations.
        student: how the student reads them.
        teacher: how the teacher does, where it is shown more than the student; its distributions
            over the same replies are then what the student learns (context distillation). With
            another tokenizer, replies are aligned in chunks of text (`text.alignment`).
        shard: the part to write, in parallel with others.

    Raises:
        UserError: bad input, or an output folder of another config.
    """
    if teacher and student.sight:
        raise UserError("a teacher has no view of pictures of its own; omit teacher and pictures")
    config = student.config() | ({"teacher": teacher.config()} if teacher else {})
    aligner = None
    # With one vocabulary the reply ids are the same on both sides, whatever the prompts are, and
    # need no chunks.
    if teacher and config["vocabulary"] != config["teacher"]["vocabulary"]:
        aligner = Aligner(student.tokenizer, teacher.tokenizer)
    form = RowFormat(
        student.length,
        teacher.length if teacher else 0,
        aligner is not None,
        pictures=student.picture_room,
    )
    spec = DatasetSpec(
        name=ROWS,
        layout=form.layout(),
        source=source.identity,
        config=config,
    )
    # The blocks depend on the source alone, never on `shard`: any number of processes writes the
    # same rows.
    blocks = -(-len(source) // BLOCK)

    def make(keys: list[str]) -> Iterator[tuple[str, list[Record], dict[str, int]]]:
        for key in keys:
            # Strided, since episodes lie in the order of their kinds and a mixture packs better.
            block = source.block(int(key), blocks)
            learnt = [item for item in block if source.learnt(item)]
            conversations = _read(source, learnt, student, teacher)
            counts = {source.unit: len(block), "failed": len(block) - len(learnt)}
            if aligner:
                conversations, omitted = _align(aligner, conversations)
                # Counted in the manifest: a reply without chunks has no aligned loss, and nothing
                # else would show it.
                counts["replies_left_out"] = omitted
            else:
                for item, conversation in zip(learnt, conversations, strict=True):
                    # The loss pairs reply tokens by their order alone (`objectives.replies`), so a
                    # difference would go unnoticed and compare unrelated tokens.
                    _check_replies(source.name(item), conversation)
            packed = pack_examples(conversations, form)
            counts["beyond_model"] = sum(
                0 < student.made_for < min(len(c.student.tokens), form.length)
                for c in conversations
            )
            records = [form.record(row) for row in packed.rows]
            yield key, records, counts | packed.counts

    # Padded keys: `write_dataset` sorts them as text.
    report = write_dataset(out, [f"{b:08d}" for b in range(blocks)], make, spec, shard)
    return _told(report, source.unit, out, form)


def _told(report: WriteReport, unit: str, out: str | os.PathLike, form: RowFormat) -> WriteReport:
    """Say what became of the conversations, and refuse to end without a row."""
    # A shard without a block has counted nothing.
    c = collections.Counter(report.counts)
    details = [
        f"{c['examples']:,} of {c[unit]:,} {unit}",
        f"{c['cut_to_fit']:,} cut to fit" if c["cut_to_fit"] else "",
        f"{c['dropped_too_long']:,} too long" if c["dropped_too_long"] else "",
        f"{c['failed']:,} not won" if c["failed"] else "",
        f"{c['beyond_model']:,} longer than the model was made for" if c["beyond_model"] else "",
        f"{c['replies_left_out']:,} replies not aligned" if c["replies_left_out"] else "",
    ]
    if report.status != "waiting" and not report.records:
        told = ", ".join(filter(None, details))
        lost = not c["dropped_too_long"]
        remedy = "play with a better player" if lost else "give longer rows"
        raise UserError(
            f"{out}: no row of {form.length} tokens could be written ({told}); {remedy}, into "
            "another folder"
        )
    return report.with_details(*details)


def _read(
    source: Source, items: list[Any], student: View, teacher: View | None
) -> list[Conversation]:
    """Each item as both models read it."""
    mine = student.read(source.chats(items, student))
    if teacher is None:
        return mine
    theirs = teacher.read(source.chats(items, teacher))
    both = zip(mine, theirs, strict=True)
    return [Conversation(own.student, other.student) for own, other in both]


def _align(aligner: Aligner, conversations: list[Conversation]) -> tuple[list[Conversation], int]:
    """The conversations with their chunks, and how many replies have none."""
    aligned, omitted = [], 0
    for student, teacher, _ in conversations:
        # An aligner is made only where there is a teacher.
        assert teacher is not None
        found = aligner.conversation(student, teacher)
        omitted += len(found.left_out)
        sides = student._replace(chunks=found.student), teacher._replace(chunks=found.teacher)
        aligned.append(Conversation(*sides))
    return aligned, omitted


def _check_replies(name: str, conversation: Conversation) -> None:
    """Raise UserError where the views do not spell the replies with the same ids."""
    first, *others = (
        [t for t, m in zip(e.tokens, e.loss_mask, strict=True) if m] for e in conversation.views
    )
    if any(other != first for other in others):
        raise UserError(
            f"{name}: teacher and student spell its replies with different "
            "tokens although they have one vocabulary; give both the same chat template"
        )
