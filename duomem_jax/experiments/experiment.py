"""What an experiment is: a teacher and a student, games, recipes and seeds."""

from dataclasses import field
from pathlib import Path

from duomem_jax.agents.play import MAX_NEW, Play, Recall, Talk
from duomem_jax.agents.player import Player
from duomem_jax.base.errors import UserError
from duomem_jax.base.prompts import NO_SYSTEM
from duomem_jax.base.ranges import Few, Length, Limit, Seed, Temperature, options
from duomem_jax.experiments.recipe import Recipe
from duomem_jax.speak.open import Local
from duomem_jax.stages.examples import Examples
from duomem_jax.train.config import TrainConfig
from duomem_jax.worlds.games import Games

# Rows of the table besides two for each recipe: what the student has, and the teacher itself.
NO_MEMORY, SELF_MEMORY, TEACHER_MEMORY = "no memory", "self memory", "teacher memory"
TEACHER = "teacher"


@options
class Experiment:
    """What is compared with what, on which games."""

    title: str
    output: str  # folder for everything
    teacher: str  # a model, or one of the world's own players
    student: str  # a model that runs here
    train_games: Games  # played by the teacher, to be remembered and learnt
    self_games: Games  # played by the student itself, for its own memories
    test_games: Games  # played by every row of the table
    train: TrainConfig  # of the adapters; base, data, output, seed and objective are filled in
    recipes: tuple[Recipe, ...] = (Recipe(),)  # the first is what the others are compared with
    seeds: tuple[Seed, ...] = (0, 1, 2)  # of training; one adapter each
    # What tasks may be about (`World.about`), such as a kind of them as tables name it: the teacher
    # plays these, and no adapter learns them; memories of them are shown in the test games like all
    # others. Empty: all are learnt.
    left_out: str = ""
    play: Play = field(default_factory=Play)
    examples: Examples = field(default_factory=Examples)
    max_new: Length = MAX_NEW  # tokens a reply of the student may have
    max_len: Limit = 0  # tokens that one of its games may have, as `Local.max_len`
    temperature: Temperature = 0.0  # of the student
    # Of the student that plays for its own memories: without luck it would win nothing.
    self_temperature: Temperature = 1.0
    workers: Few = 1  # adapters trained, and rows of the table played, side by side

    def __post_init__(self) -> None:
        # By slug: two names that differ in signs alone would share a folder.
        names = [recipe.slug for recipe in self.recipes]
        before = [""]
        for recipe in self.recipes:
            if recipe.start not in before:
                raise UserError(
                    f"recipe {recipe.name} starts from {recipe.start!r}, which is none before it"
                )
            before.append(recipe.name)
        if self.left_out:
            self.test_games.open_world().about(self.left_out)
            if own := [r.name for r in self.recipes if r.on_policy is not None]:
                raise UserError(
                    f"left_out is {self.left_out}, and the student of recipe {own[0]} would play "
                    "such games itself; omit one of them"
                )
        if not names or len(set(names)) < len(names):
            raise UserError(f"recipes are {names}; give at least one, each with its own name")

    def player(self, name: str, *, adapter: str = "", memory: str = "") -> Player:
        """A row of the table: the teacher, or the student with what it is given."""
        # As it was trained, or by rules: what the student is told and shown is nothing to it.
        if name == TEACHER:
            return Player(name=name, model=self.teacher)
        # All others are the student, so that rows differ in what it is given.
        return Player(
            name=name,
            model=self.student,
            recall=self.recall(memory),
            # As the adapters of the experiment are trained, the student without one included.
            talk=Talk(self.examples.system or NO_SYSTEM, self.max_new, self.temperature),
            local=Local(adapter=adapter, max_len=self.max_len),
        )

    @property
    def setting(self) -> str:
        """How it was played and trained, for the note of a report."""
        return (
            f"Games: {self.test_games.protocol(self.play.max_steps)}, admissible commands not "
            f"shown, temperature {self.temperature:g}. Student {Path(self.student).name}, teacher "
            f"{Path(self.teacher).name}; LoRA rank {self.train.lora.rank}, {self.train.steps} steps"
            f"{f', nothing about {self.left_out} learnt' if self.left_out else ''}"
        )

    def recall(self, memory: str) -> Recall:
        """Memories of a bank as all players of the experiment are shown them."""
        return Recall(memory, self.examples.k, self.examples.embedder)

    @property
    def players(self) -> list[str]:
        """Rows of the table, in their order."""
        own = [name for r in self.recipes for name in (r.name, r.with_memory)]
        return [NO_MEMORY, SELF_MEMORY, TEACHER_MEMORY, *own, TEACHER]

    @property
    def compared(self) -> list[tuple[str, str]] | None:
        """Pairs of rows whose difference is tested; None: all of them.

        Of several recipes each is compared with the first, and its two rows with each other: fewer
        pairs keep more of their certainty when p-values are corrected for their number.
        """
        if len(self.recipes) == 1:
            return None
        first, *others = self.recipes
        usual = [(NO_MEMORY, TEACHER_MEMORY), (NO_MEMORY, first.name)]
        plain = [(first.name, r.name) for r in others]
        shown = [(first.with_memory, r.with_memory) for r in others]
        return usual + plain + shown + [(r.name, r.with_memory) for r in self.recipes]
