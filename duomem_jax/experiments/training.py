"""The adapters of an experiment: how each is trained, its cost and its distance to the teacher."""

import dataclasses
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from duomem_jax.base.errors import UserError
from duomem_jax.base.fields import record_of
from duomem_jax.base.io import atomic_write_text, read_json, slug
from duomem_jax.base.parallel import run_all
from duomem_jax.data.facts import RowFacts
from duomem_jax.evals.cost import TrainingCost
from duomem_jax.evals.fidelity import Fidelity, measure_fidelity
from duomem_jax.experiments.experiment import Experiment
from duomem_jax.experiments.recipe import Recipe
from duomem_jax.records.played import read_episodes, write_episodes
from duomem_jax.records.store.manifest import content_hash
from duomem_jax.records.store.spec import EPISODES
from duomem_jax.records.store.write import WriteReport
from duomem_jax.stages.examples import examples
from duomem_jax.stages.label import label
from duomem_jax.stages.lessons import lessons
from duomem_jax.stages.memories import memories
from duomem_jax.train.config import OnPolicyConfig, TrainConfig
from duomem_jax.train.output import check_output
from duomem_jax.train.run import run
from duomem_jax.train.watch.writers import read_metrics

log = logging.getLogger(__name__)
AGAIN = "train it again into another folder"
# Rows by what the teacher sees before an episode; see `Recipe.memories`.
_ROWS = {
    "as student": "examples",
    "always": "examples-teacher-with-memories",
    "never": "examples-teacher-without-memories",
}


@dataclass(frozen=True)
class Remembered:
    """What one player has of its own games.

    Attributes:
        episodes: the folder of all it played.
        bank: the folder of its memories of those that it won; "" where it won none.
        played: how many games.
        won: of them.
    """

    episodes: str
    bank: str
    played: int
    won: int


@dataclass(frozen=True)
class Training:
    """One adapter of an experiment, trained or not yet."""

    recipe: Recipe
    seed: int
    config: TrainConfig

    @property
    def adapter(self) -> str:
        """The folder of the adapter."""
        return str(Path(self.config.output) / "adapter")


def plan_trainings(e: Experiment, teacher: Remembered) -> list[Training]:
    """Every recipe with every seed, on rows that are made here, each folder once.

    Args:
        e: the experiment.
        teacher: what there is to learn.
    """
    learnt = learnt_of(e, teacher)
    # Once a recipe, not once a seed: making rows may mean to load a teacher that labels.
    rows = {recipe.slug: _rows(e, recipe, learnt) for recipe in e.recipes}
    return [
        Training(recipe, seed, recipe_config(e, recipe, seed, rows[recipe.slug], learnt.bank))
        for recipe in e.recipes
        for seed in e.seeds
    ]


def learnt_of(e: Experiment, teacher: Remembered) -> Remembered:
    """What of a teacher's episodes adapters learn: all but those that are left out."""
    if not e.left_out:
        return teacher
    left_out = e.train_games.about(e.left_out)
    return some_of(e, f"without {e.left_out}", teacher, lambda game: game not in left_out)


def some_of(
    e: Experiment, which: str, whole: Remembered, wanted: Callable[[str], bool]
) -> Remembered:
    """Some of what a player has played, and the memories of it.

    Args:
        e: the experiment.
        which: what these episodes are, in a few words that name their folders.
        whole: everything.
        wanted: tells games by their ids.
    """
    root, name = Path(e.output), slug(which)
    episodes = str(root / f"{name}-episodes")
    kept = {(x.game_id, x.seed): x for x in read_episodes(whole.episodes) if wanted(x.game_id)}
    report = write_episodes(
        episodes,
        list(kept),
        lambda missing: (kept[key] for key in missing),
        source={EPISODES: content_hash(whole.episodes, EPISODES)},
        config={"episodes": which},
        seed=0,
    )
    return remembered(e, episodes, str(root / f"{name}-memories"), report)


def remembered(e: Experiment, episodes: str, bank: str, report: WriteReport) -> Remembered:
    """Episodes that have been written, with their memories, which are written here.

    Args:
        e: the experiment.
        episodes: their folder.
        bank: folder to write.
        report: of the episodes.
    """
    log.info(report)
    played, won = report.records, report.counts["won"]
    # Writing memories refuses a folder without a won game; the experiment goes on without them.
    if not won:
        return Remembered(episodes, "", played, 0)
    log.info(memories(bank, episodes, e.examples.embedder))
    return Remembered(episodes, bank, played, won)


def train_all(trainings: Sequence[Training], workers: int) -> None:
    """Train those that are not yet, side by side; what goes on from another adapter, after it."""
    left = list(trainings)
    while left:
        ready = [t for t in left if not t.config.adapter or Path(t.config.adapter).exists()]
        # None where the adapter is nobody's here: training says so.
        ready = ready or left
        run_all(train_adapter, [(t.config,) for t in ready], workers)
        left = [t for t in left if t not in ready]


def train_adapter(config: TrainConfig) -> str:
    """Train, unless that is done; the folder of the adapter."""
    adapter = Path(config.output) / "adapter"
    # An adapter's folder appears when it is whole, so a finished run need not be opened again.
    if adapter.exists():
        check_output(config)
        log.info("%s: already there, reused", adapter)
        return str(adapter)
    return str(run(config))


def cost(folder: str | Path) -> TrainingCost:
    """What a finished run of training took, from its folder.

    Raises:
        UserError: a file of the run is missing, damaged or cut short.
    """
    path, metrics = Path(folder, "config.json"), Path(folder, "metrics.jsonl")
    config = read_json(path, missing=AGAIN, damaged=AGAIN)
    steps, data = config.get("steps"), config.get("data")
    if type(steps) is not int or not isinstance(data, str):
        raise UserError(f"{path}: field steps or data is missing or has a wrong value; {AGAIN}")
    rows = read_metrics(metrics)
    ends = [int(row["step"]) for row in rows]
    if ends[-1:] != [steps]:
        raise UserError(f"{metrics}: ends at step {[0, *ends][-1]} of {steps}; {AGAIN}")
    # A record is of several steps, and its `loss_tokens` a mean over them.
    spans = [end - start for start, end in zip([0, *ends], ends, strict=False)]
    # No data where the student played its rows.
    counts = RowFacts.read(data).counts if data else {}
    try:
        return TrainingCost(
            steps=steps,
            tokens=sum(n * row["loss_tokens"] for n, row in zip(spans, rows, strict=True)),
            seconds=sum(row["seconds"] for row in rows),
            target_bytes=counts.get("target_bytes", 0),
        )
    except KeyError as e:
        raise UserError(f"{metrics}: a line has no field {e}; {AGAIN}") from None


def fidelity(student: str, teacher: str, probe: str, adapter: str) -> Fidelity:
    """How near an adapter came to the teacher on the rows of `probe`; kept beside it.

    Args:
        student: Hugging Face folder.
        teacher: Hugging Face folder.
        probe: packed rows that no adapter was trained on.
        adapter: its folder; empty: the student as it is, measured again each time.

    Raises:
        UserError: a folder, or what was kept, is missing or damaged.
    """
    # Beside the adapter's folder, which holds only what is shipped.
    kept = Path(adapter).parent / "fidelity.json" if adapter else None
    if kept is not None and kept.exists():
        return _kept_fidelity(kept)
    found = measure_fidelity(student, teacher, probe, adapter=adapter)
    if kept is not None:
        atomic_write_text(kept, json.dumps(dataclasses.asdict(found), indent=1) + "\n")
    return found


def _kept_fidelity(path: Path) -> Fidelity:
    remedy = "delete it, and it is measured again"
    facts = read_json(path, missing=remedy, damaged=remedy)
    try:
        return record_of(Fidelity, facts)
    except TypeError as e:
        raise UserError(f"{path}: damaged ({e}); {remedy}") from None


def _rows(e: Experiment, recipe: Recipe, learnt: Remembered) -> str:
    """The folder of rows that a recipe trains on; "" where the student plays them itself."""
    if recipe.on_policy is not None:
        return ""
    root = Path(e.output)
    # Recipes that learn from the same rows share a folder.
    alone = recipe.lessons is not None or recipe.memory_share is not None
    alone = alone or recipe.objective.on_chunks
    out = str(root / "rows" / recipe.slug if alone else root / _ROWS[recipe.memories])
    how = e.examples
    if recipe.memory_share is not None:
        how = dataclasses.replace(how, memory_share=recipe.memory_share)
    report = examples(
        out,
        episodes=learnt.episodes,
        demonstrations=_lessons(e, recipe),
        tokenizer=e.student,
        memory=learnt.bank,
        teacher=_other_reader(e, recipe),
        teacher_memory=learnt.bank if recipe.memories == "always" else "",
        how=how,
    )
    log.info(report)
    if recipe.label is None:
        return out
    labelled = str(root / "targets" / recipe.slug)
    log.info(label(labelled, examples=out, teacher=e.teacher, how=recipe.label))
    return labelled


def _other_reader(e: Experiment, recipe: Recipe) -> str:
    """Whose tokens rows hold beside the student's; "" where the teacher reads those."""
    if recipe.objective.on_chunks:
        return e.teacher
    # Any teacher gives rows a second view; the student's own tokenizer keeps the tokens equal.
    return e.student if recipe.memories == "never" else ""


def _lessons(e: Experiment, recipe: Recipe) -> tuple[str, ...]:
    """The folder of a recipe's lessons, if it has some."""
    if recipe.lessons is None:
        return ()
    out = str(Path(e.output) / "lessons" / recipe.slug)
    how = dataclasses.replace(recipe.lessons, system=e.examples.system, without=e.left_out)
    log.info(lessons(out, e.train_games, how))
    return (out,)


def recipe_config(e: Experiment, recipe: Recipe, seed: int, rows: str, memory: str) -> TrainConfig:
    """The run of one adapter on some rows."""
    # Stored targets have been computed by now, so training need not hold the teacher.
    teacher_in_loop = recipe.objective.name != "text" and recipe.label is None
    adapters = Path(e.output) / "adapters"
    start = str(adapters / slug(recipe.start) / f"seed{seed}" / "adapter") if recipe.start else ""
    return dataclasses.replace(
        e.train,
        base=e.student,
        data=rows,
        output=str(adapters / recipe.slug / f"seed{seed}"),
        adapter=start or e.train.adapter,
        objective=recipe.objective,
        teacher=e.teacher if teacher_in_loop else "",
        on_policy=_on_policy(e, recipe, memory),
        seed=seed,
    )


def _on_policy(e: Experiment, recipe: Recipe, memory: str) -> OnPolicyConfig:
    """The student plays its rows as the players of the table do, on the games of training."""
    if recipe.on_policy is None:
        return OnPolicyConfig()
    return dataclasses.replace(
        recipe.on_policy,
        games=e.train_games,
        # What the recipe may choose stays: slots, temperature, curriculum, guidance.
        play=dataclasses.replace(recipe.on_policy.play, max_steps=e.play.max_steps),
        talk=dataclasses.replace(
            recipe.on_policy.talk, system=e.examples.system, max_new=e.max_new
        ),
        recall=e.recall(memory if recipe.memories == "always" else ""),
    )
