"""The arrows of the data flow, one function each; every one resumes where it stopped.

games -> episodes -> memories -> examples -> adapter -> results -> report
"""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from duomem_jax.agents.rollout import play_games
from duomem_jax.data.episodes import Episode
from duomem_jax.data.examples import View, build_examples
from duomem_jax.data.play import Wanted, write_episodes
from duomem_jax.data.store import WriteReport
from duomem_jax.data.targets import Kind
from duomem_jax.data.tokens import load_tokenizer
from duomem_jax.envs.base import Game
from duomem_jax.envs.generate import generate_games, write_games
from duomem_jax.envs.load import load_games, spread
from duomem_jax.errors import UserError
from duomem_jax.evals.arms import Arm, identity, located, open_policy
from duomem_jax.evals.audit import Audit, Scores, make_subjects
from duomem_jax.evals.audit import audit as run_audit
from duomem_jax.evals.evaluate import evaluate as run_arm
from duomem_jax.io import atomic_dir
from duomem_jax.locate import model_path
from duomem_jax.memory.bank import MemoryBank
from duomem_jax.memory.build import build_memories
from duomem_jax.memory.embed import make_embedder
from duomem_jax.memory.guidelines import RetrievedGuidelines
from duomem_jax.memory.maintain import update_memories
from duomem_jax.memory.script import write_scripts
from duomem_jax.memory.write import Writer, Writing
from duomem_jax.progress import Progress
from duomem_jax.prompts import system_text
from duomem_jax.served.server import PREFIX, Server, served_name

SCRIPT = "script"  # writes memories without a model


@dataclasses.dataclass(frozen=True)
class Games:
    """Which games: a place, a split of it, and how many."""

    path: str  # json_2.1.1 folder, generated folder, or .jsonl[.xz] file
    split: str = ""  # sub-folder or file in it; empty: all
    limit: int = 0  # so many, evenly spread over the task types; 0: all

    def load(self) -> Sequence[Game]:
        """The games, read when they are asked for.

        Raises:
            UserError: none there, or a broken one when it is read.
        """
        return spread(load_games(self.path, split=self.split or None), self.limit)


@dataclasses.dataclass(frozen=True)
class Play:
    """How games are played."""

    slots: int = 32  # at once
    max_steps: int = 50  # commands after which a game is lost
    engine: str = "fast"  # or "textworld", the real one (extra `alfworld`)
    seed: int = 0  # of the player's choices

    def __post_init__(self) -> None:
        for name in ("slots", "max_steps"):
            if getattr(self, name) < 1:
                raise UserError(f"{name} is {getattr(self, name)}; give a whole number above 0")


def parse_shard(text: str) -> tuple[int, int]:
    """`2/8` → (2, 8).

    Raises:
        UserError: not of that form.
    """
    index, _, count = text.partition("/")
    if not (index.isdigit() and count.isdigit() and int(index) < int(count)):
        raise UserError(f"shard {text!r}: give i/n with i from 0 to n - 1, such as 0/4")
    return int(index), int(count)


def make_games(folder: str, count: int, seed: int) -> str:
    """Generate games unless the folder is there already; one sentence on what was done.

    Raises:
        UserError: the disk is full, or the folder is not writable.
    """
    if count < 1:
        raise UserError(f"count is {count}; give a whole number above 0")
    if Path(folder).exists():
        return f"{folder}: already there, reused"
    with atomic_dir(folder) as tmp:
        written = write_games(tmp, generate_games(count, seed))
    return f"{folder}: {written} games written"


def _record(out: str, shard: tuple[int, int] = (0, 1)) -> Path:
    """Where a stage keeps what a served model answered and cost."""
    index, n = shard
    return Path(out) / ("served" if n == 1 else f"served-{index:05d}-of-{n:05d}")


def play(
    games: Games,
    player: Arm,
    out: str,
    how: Play = Play(),
    shard: tuple[int, int] = (0, 1),
    server: Server = Server(),
) -> WriteReport:
    """Let a player play games and store the episodes.

    Raises:
        UserError: bad games or player, or an output folder of another config.
    """
    player = located(player)
    chosen = {game.id: game for game in games.load()}
    wanted = [(game_id, how.seed) for game_id in chosen]

    def run(missing: list[Wanted]) -> Iterator[Episode]:
        record = _record(out, shard)
        with (
            open_policy(player, slots=how.slots, server=server, record=record) as policy,
            Progress(len(missing), f"{player.name} plays") as progress,
        ):
            for episode in play_games(
                (chosen[game_id] for game_id, _ in missing),
                policy,
                slots=how.slots,
                max_steps=how.max_steps,
                engine=how.engine,
                seed=how.seed,
            ):
                progress.add(episode.success)
                yield episode

    return write_episodes(
        out,
        wanted,
        run,
        split="train",
        source={"games": games.path, "split": games.split, "count": len(chosen)},
        config={"player": identity(player), "max_steps": how.max_steps, "engine": how.engine},
        seed=how.seed,
        shard=shard,
    )


def evaluate(
    games: Games,
    arm: Arm,
    out: str,
    how: Play = Play(),
    server: Server = Server(),
    shard: tuple[int, int] = (0, 1),
) -> Path:
    """Play the games an arm has no result for yet; the file of its results.

    Raises:
        UserError: bad games or arm, or results of another config.
    """
    return run_arm(
        located(arm),
        games.load(),
        out,
        slots=how.slots,
        max_steps=how.max_steps,
        engine=how.engine,
        seed=how.seed,
        server=server,
        shard=shard,
    )


def remember(
    episodes: str,
    out: str,
    embedder: str = "hashing",
    shard: tuple[int, int] = (0, 1),
    writer: str = SCRIPT,
    how: Writing = Writing(),
    server: Server = Server(),
) -> WriteReport:
    """Write a memory for each won episode.

    Raises:
        UserError: no won episode, or an output folder of another config.
    """
    write, config = _writer(writer, how, server, _record(out, shard))
    return build_memories(
        episodes, out, make_embedder(embedder), write=write, writer=config, shard=shard
    )


def maintain(
    memories: str,
    episodes: str,
    out: str,
    embedder: str = "hashing",
    writer: str = SCRIPT,
    how: Writing = Writing(),
    server: Server = Server(),
) -> WriteReport:
    """Write a bank anew: credited and pruned by episodes that used it, with what they add.

    Raises:
        UserError: bad input, or an output folder of another config.
    """
    write, config = _writer(writer, how, server, _record(out))
    return update_memories(
        memories, episodes, out, make_embedder(embedder), write=write, writer=config
    )


def _writer(
    writer: str, how: Writing, server: Server, record: Path
) -> tuple[Writer, str | dict[str, Any]]:
    """What writes memories, and its identity."""
    if name := served_name(writer):
        from duomem_jax.memory.served import ServedWriter

        served = ServedWriter(name, how, server, record)
        return served, served.config
    if writer != SCRIPT:
        raise UserError(f"writer={writer}: unknown; give {SCRIPT}, or {PREFIX}NAME of a model")
    return write_scripts, SCRIPT


@dataclasses.dataclass(frozen=True)
class Examples:
    """How episodes become packed training rows."""

    length: int = 1024  # T, tokens a row
    system: str = ""  # system message, or @FILE of it
    memory_share: float = 0.5  # share of the episodes that show memories
    k: int = 2  # memories shown
    embedder: str = "hashing"
    seed: int = 0  # of which episodes show memories
    teacher_length: int = 2048  # tokens a row of the teacher's view


def prepare(
    episodes: str,
    tokenizer: str,
    out: str,
    memory: str = "",
    how: Examples = Examples(),
    shard: tuple[int, int] = (0, 1),
    *,
    teacher: str = "",
    teacher_memory: str = "",
) -> WriteReport:
    """Tokenise, mask and pack won episodes, some of them with memories before them.

    Args:
        episodes, tokenizer, out, memory, how, shard: as `duomem examples` explains them.
        teacher: model whose tokenizer a teacher's own view is made with; empty: the student's.
        teacher_memory: bank that a teacher sees before every episode, in a view of its own.

    Raises:
        UserError: bad input, or an output folder of another config.
    """
    loaded = load_tokenizer(model_path(tokenizer))

    def shown(bank: str, share: float) -> RetrievedGuidelines | None:
        if not bank:
            return None
        memories = MemoryBank.load(bank, make_embedder(how.embedder))
        return RetrievedGuidelines(memories, k=how.k, share=share, seed=how.seed)

    system = system_text(how.system)
    student = View(loaded, how.length, system, shown(memory, how.memory_share))
    told = None
    if teacher or teacher_memory:
        own = load_tokenizer(model_path(teacher)) if teacher else loaded
        told = View(own, how.teacher_length, system, shown(teacher_memory, 1.0))
    return build_examples(episodes, out, student, told, shard=shard)


@dataclasses.dataclass(frozen=True)
class Label:
    """What is stored of a teacher's distributions."""

    kind: Kind = "topk"  # the likeliest tokens and a rest, or samples
    k: int = 64  # candidates a token
    temperature: float = 1.0  # of the distributions; training must use the same
    seed: int = 0  # of samples
    rows: int = 8  # read at once, on each device
    dtype: Literal["float32", "bfloat16"] = "float32"
    tokenizer: str = ""  # of a served teacher, whose server does not tell: Hugging Face folder


def label(
    examples: str,
    teacher: str,
    out: str,
    how: Label = Label(),
    shard: tuple[int, int] = (0, 1),
    server: Server = Server(),
) -> WriteReport:
    """Store what a teacher says of every reply token of packed rows.

    Raises:
        UserError: bad input, a teacher with another vocabulary, or an output folder of another
            config.
    """
    from duomem_jax.teachers.label import Scorer, label_examples
    from duomem_jax.teachers.scorer import ModelScorer
    from duomem_jax.teachers.served_scorer import ServedScorer

    scorer: Scorer
    if name := served_name(teacher):
        if how.kind != "topk" or how.temperature != 1 or not how.tokenizer:
            raise UserError(
                f"teacher {teacher} is served: it gives the likeliest tokens at temperature 1, and "
                "how.tokenizer must name the folder of its tokenizer"
            )
        folder, record = model_path(how.tokenizer), _record(out, shard)
        scorer = ServedScorer(name, folder, server, record, k=how.k)
        return label_examples(examples, scorer, out, shard=shard)
    scorer = ModelScorer(
        model_path(teacher),
        kind=how.kind,
        k=how.k,
        temperature=how.temperature,
        seed=how.seed,
        rows=how.rows,
        dtype=how.dtype,
    )
    return label_examples(examples, scorer, out, shard=shard)


def audit(
    out: str,
    student: str,
    adapters: Sequence[str],
    teacher: str,
    train: str,
    held_out: str,
    how: Audit = Audit(),
) -> Scores:
    """Score base, students and teacher on what follows prefixes of episodes.

    Args:
        out: folder of the scores.
        student: base model.
        adapters: `name=folder` each; a name given again is another seed of it.
        teacher: model; empty: none.
        train: folder of the episodes that were learnt from.
        held_out: folder of episodes of other games.
        how: sizes.

    Raises:
        UserError: bad input, or scores of another audit.
    """
    pairs = []
    for text in adapters:
        name, equals, folder = text.partition("=")
        if not equals:
            raise UserError(f"adapter {text!r}: give name=folder, such as text=runs/a/adapter")
        pairs.append((name, folder))
    subjects = make_subjects(model_path(student), pairs, model_path(teacher) if teacher else "")
    return run_audit(out, subjects, train, held_out, how)
