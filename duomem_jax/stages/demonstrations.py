"""Dialogues to demonstrations of what an expert is to do."""

from collections.abc import Iterator
from pathlib import Path

from duomem_jax.base.errors import UserError
from duomem_jax.base.shard import WHOLE
from duomem_jax.memory.operations.models import Models
from duomem_jax.memory.operations.names import LOOK, Name
from duomem_jax.memory.teach import Demonstrator, Teaching
from duomem_jax.records.demonstrations import (
    DEMONSTRATION_LAYOUT,
    SEEN_LAYOUT,
    demonstration_to_record,
)
from duomem_jax.records.pictures import FOLDER, PictureFolder
from duomem_jax.records.store.manifest import content_hash
from duomem_jax.records.store.spec import DEMONSTRATIONS, DIALOGUES, PICTURES
from duomem_jax.records.store.write import DatasetSpec, WriteReport, write_dataset
from duomem_jax.records.talked import read_dialogues
from duomem_jax.speak.served.server import Server
from duomem_jax.stages.options import Folder, Part, served_record


def demonstrations(
    out: Folder,
    /,
    dialogues: str,
    operation: Name,
    how: Teaching = Teaching(),
    teacher: Models = Models(),
    shard: Part = WHOLE,
    server: Server = Server(),
) -> WriteReport:
    """Write what a teacher shows an expert of one operation, for `duomem examples`.

    The teacher is what is known of the dialogues, their facts and the keys of their questions; or a
    model that keeps memories of them.

    Args:
        out: folder to write.
        dialogues: folder of dialogues, from `duomem dialogues` or `duomem locomo prepare`.
        operation: extract facts from turns, update memories by a fact, answer a question, or look
            at pictures for one (of dialogues with pictures).
        how: what stands before questions and new facts.
        teacher: a model that extracts and updates, alone or with experts of its own; without one
            the dialogues' own facts are the teacher.
        shard: write part i/n.
        server: where a teacher openai:NAME is.

    Raises:
        UserError: bad input, or an output folder of another config.
    """
    files = PictureFolder(Path(dialogues) / FOLDER)
    stored = {dialogue.id: dialogue for dialogue in read_dialogues(dialogues)}
    demonstrate, seen = Demonstrator(operation, how, teacher), operation == LOOK

    def make(keys: list[str]) -> Iterator[tuple[str, list[dict], dict[str, int]]]:
        told = demonstrate([stored[key] for key in keys], served_record(out, shard), server)
        for key, shown in zip(keys, told, strict=True):
            if seen:  # those that are missing are named before anything is trained on the others
                files.shared(turn for _, turn in stored[key].turns())
            records = [demonstration_to_record(d, seen=seen) for d in shown.demonstrations]
            yield key, records, shown.counts

    spec = DatasetSpec(
        DEMONSTRATIONS,
        SEEN_LAYOUT if seen else DEMONSTRATION_LAYOUT,
        source={DIALOGUES: content_hash(dialogues, DIALOGUES)},
        config=demonstrate.config,
        # What paths of pictures are relative to.
        notes={PICTURES: str(files.folder.resolve())} if seen else {},
    )
    report = write_dataset(out, list(stored), make, spec, shard)
    if report.status != "waiting" and not report.records:
        raise UserError(f"{out}: {dialogues} holds nothing to demonstrate; give other dialogues")
    return report
