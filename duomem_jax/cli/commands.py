"""Every command of `duomem`: what it runs, where the table of contents has it, an example."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

WHOLE, PLAY, REMEMBER, DISTIL, MEASURE, DATA = (
    "All of it at once",
    "Play",
    "Remember",
    "Distil",
    "Measure",
    "Look at and exchange data",
)
CHAPTERS = (WHOLE, PLAY, REMEMBER, DISTIL, MEASURE, DATA)
TRAIN = "train"  # its options are the fields of a config, so it reads its command line itself


@dataclass(frozen=True)
class Command:
    """A sub-command.

    Attributes:
        name: as it is typed; two words for one of a group.
        run: the function whose arguments are its options.
        chapter: of the table of contents.
        example: what may follow its name.
    """

    name: str
    run: Callable[..., Any]
    chapter: str
    example: str

    @property
    def summary(self) -> str:
        """What it does, in one line."""
        return (self.run.__doc__ or "").strip().split("\n")[0]


def commands() -> dict[str, Command]:
    """By name, in the order of the table of contents."""
    from duomem_jax import experiments as e
    from duomem_jax import stages as s

    games = "--games.path runs/games"
    store = "memories.sqlite"
    rows = [
        Command("quickstart", e.quickstart, WHOLE, ""),
        Command("real", e.real, WHOLE, ""),
        Command("remember", e.remember, WHOLE, ""),
        Command("compare", e.compare, WHOLE, "configs/alfworld_tiny.py"),
        Command("generate", s.generate, PLAY, "runs/games --count 200 --seed 1"),
        Command(
            "play",
            s.play,
            PLAY,
            f"runs/episodes {games} --player.name teacher --player.model tiny-teacher",
        ),
        Command("memories", s.memories, REMEMBER, "runs/memories --episodes runs/episodes"),
        Command(
            "maintain",
            s.maintain,
            REMEMBER,
            "runs/kept --memories runs/memories --episodes runs/episodes",
        ),
        Command("chat", s.chat, REMEMBER, f"{store} --model tiny-listener"),
        Command(
            "memory add", s.memory.add, REMEMBER, f'{store} "I moved to Lisbon." --speaker Ana'
        ),
        Command(
            "memory plan",
            s.memory.plan,
            REMEMBER,
            f'{store} "I moved to Porto." --speaker Ana --model tiny-listener',
        ),
        Command("memory recall", s.memory.recall, REMEMBER, f'{store} "Where does Ana live?"'),
        Command(
            "memory answer",
            s.memory.answer,
            REMEMBER,
            f'{store} "Where does Ana live?" --model tiny-listener',
        ),
        Command("memory show", s.memory.show, REMEMBER, store),
        Command("memory history", s.memory.history, REMEMBER, f"{store} 1"),
        Command("memory forget", s.memory.forget, REMEMBER, f"{store} --ids 1"),
        Command("memory export", s.memory.export, REMEMBER, f"{store} memories.jsonl"),
        Command("memory import", s.memory.import_, REMEMBER, "copy.sqlite memories.jsonl"),
        Command("memory reindex", s.memory.reindex, REMEMBER, f"{store} --embedder hashing:256"),
        Command("memory maintain", s.memory.maintain, REMEMBER, f"{store} --policy duplicates"),
        Command("memory bank", s.memory.bank, REMEMBER, "scripts.sqlite runs/memories"),
        Command(
            "memory credit", s.memory.credit, REMEMBER, "scripts.sqlite --episodes runs/episodes"
        ),
        Command("memory draw", s.draw, REMEMBER, "scripts.sqlite uses.png"),
        Command("dialogues", s.dialogues, DISTIL, "runs/dialogues --count 200 --seed 1"),
        Command(
            "demonstrations",
            s.demonstrations,
            DISTIL,
            "runs/extract --dialogues runs/dialogues --operation extract",
        ),
        Command("lessons", s.lessons, DISTIL, f"runs/lessons {games} --how.count 300"),
        Command(
            "pictures",
            s.pictures,
            DISTIL,
            "runs/pictures --demonstrations runs/chats --model HuggingFaceTB/SmolVLM-256M-Instruct",
        ),
        Command(
            "examples",
            s.examples,
            DISTIL,
            "runs/rows --episodes runs/episodes --tokenizer tiny-student --memory runs/memories",
        ),
        Command(
            "label", s.label, DISTIL, "runs/labels --examples runs/rows --teacher tiny-teacher"
        ),
        Command(
            TRAIN,
            _train_help,
            DISTIL,
            "--config configs/quickstart.py --data runs/rows --output runs/adapter",
        ),
        Command("export", s.export, DISTIL, "runs/shared --adapter runs/adapter/adapter"),
        Command("compile-check", s.compile_check, DISTIL, "configs/qwen3_4b.py --topology v5e-16"),
        Command(
            "evaluate",
            s.evaluate,
            MEASURE,
            f"runs/results {games} --player.name lora --player.model tiny-student "
            "--player.adapter runs/adapter/adapter",
        ),
        Command(
            "audit",
            s.audit,
            MEASURE,
            "runs/audit --student tiny-student --train runs/rows --held-out runs/held-out",
        ),
        Command(
            "locomo prepare",
            s.locomo.prepare,
            MEASURE,
            "runs/talks --file locomo10.json --only conv-26",
        ),
        Command(
            "locomo pictures",
            s.locomo.pictures,
            MEASURE,
            "runs/fetched --file locomo10.json --only conv-26",
        ),
        Command(
            "locomo run",
            s.locomo.run,
            MEASURE,
            "runs/answers --dialogues runs/talks --assistant.name turns --assistant.shown turns "
            "--assistant.model tiny-listener",
        ),
        Command("locomo score", s.locomo.score, MEASURE, "runs/answers"),
        Command(
            "locomo attack",
            s.locomo.attack,
            MEASURE,
            "runs/attack --dialogues runs/talks --assistant.name memories "
            "--assistant.model tiny-listener",
        ),
        Command("doctor", s.doctor, MEASURE, "--config configs/quickstart.py"),
        Command("show", s.show, DATA, "runs/episodes --which.limit 1"),
        Command("import", s.import_, DATA, "runs/mine --file mine.jsonl --kind episodes"),
        Command("dump", s.dump, DATA, "runs/episodes --file episodes.jsonl"),
    ]
    return {row.name: row for row in rows}


def _train_help() -> None:
    """Train an adapter, or all parameters of a small model: --config FILE [--field value ...]."""
