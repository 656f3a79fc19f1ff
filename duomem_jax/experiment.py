"""The whole of DuoMem as one resumable run: teacher and student in, table and picture out.

    games -> teacher's and student's episodes -> their memories -> examples -> one adapter a seed
    -> every arm on the same test games -> report

Everything lies under `output`; a stage whose folder is complete is reused.
"""

import dataclasses
from dataclasses import dataclass, field
from pathlib import Path

from duomem_jax.config import TrainConfig, from_file
from duomem_jax.data.store import WriteReport
from duomem_jax.evals.arms import Arm
from duomem_jax.evals.results import collect_results
from duomem_jax.report.write import write_report
from duomem_jax.stages import Examples, Games, Play, evaluate, play, prepare, remember
from duomem_jax.train.output import check_output
from duomem_jax.train.run import run as train

ARMS = ("no memory", "self memory", "teacher memory", "LoRA", "both", "teacher")
"""Rows of the table: what the student has; the last is the teacher itself."""


@dataclass(frozen=True)
class Experiment:
    """What is compared with what, on which games."""

    title: str
    output: str  # folder for everything
    teacher: str  # Hugging Face folder
    student: str  # Hugging Face folder
    train_games: Games  # played by the teacher, to be remembered and learnt
    self_games: Games  # played by the student itself, for its own memories
    test_games: Games  # played by every arm
    train: TrainConfig  # of the adapter; base, data, output and seed are filled in
    seeds: tuple[int, ...] = (0, 1, 2)  # of training; one adapter each
    play: Play = field(default_factory=Play)
    examples: Examples = field(default_factory=Examples)
    max_new: int = 64  # tokens a reply may have
    temperature: float = 0.0
    # Of the student that plays for its own memories: without luck it would win nothing.
    self_temperature: float = 1.0

    def arm(self, name: str, *, adapter: str = "", memory: str = "") -> Arm:
        """A row of the table."""
        return Arm(
            name=name,
            model=self.teacher if name == "teacher" else self.student,
            adapter=adapter,
            memory=memory,
            k=self.examples.k,
            embedder=self.examples.embedder,
            system=self.examples.system,
            max_new=self.max_new,
            temperature=self.temperature,
        )


def load_experiment(path: Path) -> Experiment:
    """Read `get_experiment()` of a file in configs/.

    Raises:
        UserError: no such file, or what it gives is not an Experiment.
    """
    return from_file(path, "get_experiment", Experiment)


def run_experiment(experiment: Experiment) -> Path:
    """Run whatever is not done yet; return the path of report.md.

    Raises:
        UserError: bad input, or an output folder of another experiment.
    """
    e, root = experiment, Path(experiment.output)
    teacher_memory, _ = _memories(e, "teacher", e.train_games)
    self_memory, won = _memories(e, "student", e.self_games)
    _say(
        prepare(
            str(root / "teacher-episodes"),
            e.student,
            str(root / "examples"),
            teacher_memory,
            e.examples,
        )
    )
    adapters = {seed: _adapter(e, seed) for seed in e.seeds}
    arms = [
        (e.arm("teacher"), 0),
        (e.arm("no memory"), 0),
        (e.arm("self memory", memory=self_memory), 0),
        (e.arm("teacher memory", memory=teacher_memory), 0),
    ]
    for seed, adapter in adapters.items():
        arms += [
            (e.arm("LoRA", adapter=adapter), seed),
            (e.arm("both", adapter=adapter, memory=teacher_memory), seed),
        ]
    for arm, seed in arms:
        how = dataclasses.replace(e.play, seed=seed)
        evaluate(e.test_games, arm, str(root / "results"), how)
    rows = collect_results([root / "results"])
    return write_report(root, rows, title=e.title, note=_note(e, won), order=ARMS)


def _memories(e: Experiment, who: str, games: Games) -> tuple[str, int]:
    """(bank of a player's own won episodes, how many it won); no bank if it won none."""
    root = Path(e.output)
    if who == "teacher":
        player = e.arm("teacher")
    else:
        player = dataclasses.replace(e.arm("no memory"), temperature=e.self_temperature)
    episodes, bank = str(root / f"{who}-episodes"), str(root / f"{who}-memories")
    won = _say(play(games, player, episodes, e.play)).counts["won"]
    if won:
        _say(remember(episodes, bank, e.examples.embedder))
    return (bank if won else ""), won


def _adapter(e: Experiment, seed: int) -> str:
    output = Path(e.output) / "adapters" / f"seed{seed}"
    config = dataclasses.replace(
        e.train,
        base=e.student,
        data=str(Path(e.output) / "examples"),
        output=str(output),
        seed=seed,
    )
    adapter = output / "adapter"
    if adapter.exists():
        check_output(config)
        print(f"{adapter}: already there, reused", flush=True)
        return str(adapter)
    return str(train(config))


def _note(e: Experiment, self_won: int) -> str:
    games = f"{e.test_games.path} {e.test_games.split}".strip()
    return (
        f"Games: {games}, at most {e.play.max_steps} steps, {e.play.engine} engine, admissible "
        f"commands not shown, temperature {e.temperature:g}. Student {Path(e.student).name}, "
        f"teacher {Path(e.teacher).name}; LoRA rank {e.train.lora.rank}, {e.train.steps} steps, "
        f"training seeds {', '.join(map(str, e.seeds))}; {e.examples.k} memories shown. The "
        f"student's own memories come from the {self_won} games it won by itself at temperature "
        f"{e.self_temperature:g}."
    )


def _say(report: WriteReport) -> WriteReport:
    print(report.message, flush=True)
    return report
