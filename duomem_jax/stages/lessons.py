"""Games to lessons in reading: demonstrations of made-up tasks that are explained beside them."""

from collections.abc import Iterator

from duomem_jax.base.progress import Progress
from duomem_jax.base.prompts import system_text
from duomem_jax.base.ranges import Count, Seed, options
from duomem_jax.base.shard import WHOLE
from duomem_jax.memory.show import render_guidelines
from duomem_jax.records.demonstrations import (
    DEMONSTRATION_LAYOUT,
    Demonstration,
    demonstration_to_record,
)
from duomem_jax.records.store.spec import DEMONSTRATIONS
from duomem_jax.records.store.write import DatasetSpec, WriteReport, write_dataset
from duomem_jax.stages.options import Folder, Part
from duomem_jax.text.turns import turn_messages
from duomem_jax.worlds.games import Games, identity_of


@options
class Lessons:
    """How many lessons there are, and what they are about."""

    count: Count = 300
    system: str = ""  # system message, or @FILE of it; as that of the examples beside them
    # What tasks may be about (`World.about`), such as a kind of them as tables name it: no lesson
    # has their rooms and own step. Empty: all do.
    without: str = ""
    seed: Seed = 0


def lessons(
    out: Folder, /, games: Games, how: Lessons = Lessons(), shard: Part = WHOLE
) -> WriteReport:
    """Write made-up tasks being solved, for `duomem examples`: only readers can solve them.

    A lesson's task has made-up words. Guidelines before it tell how tasks of these words were
    solved, for other things in other rooms; the world's own expert follows them. A student that
    learns lessons beside episodes goes on reading its memories, where it would else know the tasks
    that it learnt by heart, and nothing of others.

    Args:
        out: folder to write.
        games: in whose rooms they are; the games' own tasks are not shown.
        how: number, system message, what is left out.
        shard: write part i/n.

    Raises:
        UserError: bad games, a world that makes up no tasks, or an output folder of another config.
    """
    world = games.open_world()
    tasks = games.load()
    if how.without:
        left_out = world.about(how.without)
        tasks = [task for task in tasks if not left_out(task)]
    lesson_at = world.lessons(tasks, how.seed, without=how.without)
    system = system_text(how.system, world.prompt)

    def make(keys: list[str]) -> Iterator[tuple[str, list[dict], dict[str, int]]]:
        with Progress(len(keys), "lessons", good="", unit="lesson") as progress:
            for key in keys:
                lesson = lesson_at(int(key))
                guidelines = render_guidelines(lesson.advice)
                chat = turn_messages(lesson.turns, system=system, guidelines=guidelines)
                name = f"lesson {int(key)}"
                demonstration = Demonstration(name, "read", name, chat)
                yield key, [demonstration_to_record(demonstration)], {"turns": len(lesson.turns)}
                progress.add()

    spec = DatasetSpec(
        DEMONSTRATIONS,
        DEMONSTRATION_LAYOUT,
        source={"games": identity_of(tasks)},
        config={
            "count": how.count,
            "system": system,
            "without": how.without,
            "world": world.config,
        },
        seed=how.seed,
        notes={"games": games.path, "split": games.split},
    )
    return write_dataset(out, [f"{i:08d}" for i in range(how.count)], make, spec, shard)
