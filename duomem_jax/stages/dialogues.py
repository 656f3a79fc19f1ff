"""New dialogues."""

from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

from duomem_jax.base.ranges import Count, Limit, Seed, checked
from duomem_jax.base.shard import WHOLE
from duomem_jax.records.dialogues import DIALOGUE_LAYOUT, dialogue_to_record
from duomem_jax.records.pictures import FOLDER, PictureFolder
from duomem_jax.records.store.spec import DIALOGUES, DatasetSpec
from duomem_jax.records.store.write import WriteReport, write_dataset
from duomem_jax.stages.options import Folder, Part
from duomem_jax.worlds.dialogues import Size, generate_dialogue, world_content
from duomem_jax.worlds.dialogues.pictured import pictured
from duomem_jax.worlds.dialogues.retold import Values, retold

_UNIT = 20  # dialogues that are stored at once


@checked
def dialogues(
    out: Folder,
    /,
    count: Count = 200,
    seed: Seed = 0,
    held_out: bool = False,
    size: Size = Size(),
    values: Values = "own",
    pictures: Limit = 0,
    shard: Part = WHOLE,
) -> WriteReport:
    """Write generated dialogues of two people, with their facts and with questions on them.

    Args:
        out: folder to write.
        count: how many dialogues.
        seed: dialogue i of a seed is always the same dialogue.
        held_out: of names, values and phrasings that no training dialogue has, for measuring.
        size: sessions, turns and questions of each.
        values: own, as they are generated; other ones of the same tables, which contradict the
            dialogues of the same seed; or made-up ones, and made-up names, which nobody can know.
        pictures: that are shared in each, in a session of its own, with up to two questions on each
            beside the others; their files are in the folder `pictures`.
        shard: write part i/n.

    Raises:
        UserError: an output folder of another config or something else in it.
    """
    keep = PictureFolder(Path(out) / FOLDER)
    width = len(str(count - 1))
    first = {f"{start:0{width}}": start for start in range(0, count, _UNIT)}

    def make(keys: list[str]) -> Iterator[tuple[str, list[dict], dict[str, int]]]:
        for key in keys:
            numbers = range(first[key], min(first[key] + _UNIT, count))
            own = (generate_dialogue(seed, i, size, held_out) for i in numbers)
            made = [retold(dialogue, values, held_out=held_out) for dialogue in own]
            if pictures:
                made = [
                    pictured(dialogue, pictures, i, keep, held_out=held_out)
                    for i, dialogue in zip(numbers, made, strict=True)
                ]
            counts = {
                "facts": sum(len(d.facts) for d in made),
                "questions": sum(len(d.questions) for d in made),
            }
            yield key, [dialogue_to_record(d) for d in made], counts

    spec = DatasetSpec(
        DIALOGUES,
        DIALOGUE_LAYOUT,
        source={"world": world_content()},
        # Folders of the time when there were no other values, and no pictures, go on.
        config={"count": count, "held_out": held_out, "size": asdict(size)}
        | ({} if values == "own" else {"values": values})
        | ({"pictures": pictures} if pictures else {}),
        seed=seed,
    )
    return write_dataset(out, list(first), make, spec, shard)
