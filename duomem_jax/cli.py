"""`duomem <stage>`: one sub-command per arrow of the data flow, made from the stages themselves."""

import sys
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from duomem_jax.base.commandline import run_command
from duomem_jax.base.terminal import say

GROUPS = {
    "memory": "A store of memories: add, plan, recall, answer, show, history, forget, export, ...",
    "locomo": "Conversations of many sessions, and questions about them: prepare, run, score, ...",
}
TRAIN = "train"  # its options are the fields of a config, so it reads its command line itself


def commands() -> dict[str, Callable[..., Any]]:
    """The functions that the command line is made from, by name."""
    from duomem_jax import experiments, stages

    return {
        "generate": stages.generate,
        "play": stages.play,
        "dialogues": stages.dialogues,
        "memories": stages.memories,
        "maintain": stages.maintain,
        "demonstrations": stages.demonstrations,
        "examples": stages.examples,
        "label": stages.label,
        TRAIN: _train_help,
        "evaluate": stages.evaluate,
        "audit": stages.audit,
        "chat": stages.chat,
        "memory add": stages.memory.add,
        "memory plan": stages.memory.plan,
        "memory recall": stages.memory.recall,
        "memory answer": stages.memory.answer,
        "memory show": stages.memory.show,
        "memory history": stages.memory.history,
        "memory forget": stages.memory.forget,
        "memory export": stages.memory.export,
        "memory import": stages.memory.import_,
        "memory reindex": stages.memory.reindex,
        "memory maintain": stages.memory.maintain,
        "memory bank": stages.memory.bank,
        "memory credit": stages.memory.credit,
        "locomo prepare": stages.locomo.prepare,
        "locomo run": stages.locomo.run,
        "locomo score": stages.locomo.score,
        "locomo attack": stages.locomo.attack,
        "export": stages.export,
        "show": stages.show,
        "import": stages.import_,
        "dump": stages.dump,
        "compile-check": stages.compile_check,
        "compare": experiments.compare,
        "quickstart": experiments.quickstart,
        "real": experiments.real,
        "remember": experiments.remember,
    }


def main(argv: list[str] | None = None) -> None:
    """Entry point of `duomem`; a user's mistake is one sentence and exit status 2."""
    given = sys.argv[1:] if argv is None else argv
    training = given[:1] == [TRAIN]
    name = f"duomem {TRAIN}" if training else "duomem"
    if status := run_command(name, lambda: _train(given[1:]) if training else _call(given)):
        sys.exit(status)


def _call(argv: list[str]) -> None:
    if argv == ["--version"]:
        say(f"duomem-jax {metadata.version('duomem-jax')}")
        return
    from duomem_jax.mesh.compile_cache import keep_compiled

    # Before anything compiles, and only here: it changes the environment of the process.
    keep_compiled()
    _show(call(argv, commands()))


def call(argv: list[str], functions: Mapping[str, Callable[..., Any]]) -> Any:
    """Call the function that a command line names.

    Args:
        argv: such as ["play", "FOLDER", "--player.name", "teacher"].
        functions: by their names; those of a group have two words ("locomo run").

    Raises:
        SystemExit: no such command or option, or after `--help`.
    """
    # Imported here: it takes seconds, in which Ctrl-C is to end as it does later.
    import tyro

    first = argv[0] if argv else ""
    group = {name: f for name, f in functions.items() if name.startswith(f"{first} ")}
    if group:
        return tyro.extras.subcommand_cli_from_dict(
            {name.removeprefix(f"{first} "): f for name, f in group.items()},
            prog=f"duomem {first}",
            description=GROUPS[first],
            args=argv[1:],
        )
    return tyro.extras.subcommand_cli_from_dict(
        {name: f for name, f in functions.items() if " " not in name} | _group_helps(),
        prog="duomem",
        description="Distil a teacher into a student: games, episodes, memories, examples, "
        "adapter, results, report; and keep the memories of conversations.",
        args=argv,
    )


def _group_helps() -> dict[str, Callable[..., Any]]:
    """What the list of commands says of each group."""

    def told(text: str) -> Callable[[], None]:
        def group() -> None: ...

        group.__doc__ = text
        return group

    return {name: told(text) for name, text in GROUPS.items()}


def _train(argv: list[str]) -> None:
    from duomem_jax.mesh.compile_cache import keep_compiled
    from duomem_jax.mesh.hosts import joined
    from duomem_jax.train.command import train

    keep_compiled()
    train(argv, f"duomem {TRAIN}", joined)


def _train_help() -> None:
    """Train an adapter, or all parameters of a small model: --config FILE [--field value ...]."""


def _show(result: Any) -> None:
    """Print what a stage returns: a sentence, a folder, or a report as a whole."""
    # A report is what the user wants to read; of other paths the name will do.
    if isinstance(result, Path) and result.suffix == ".md":
        result = result.read_text(encoding="utf-8")
    say(str(result))


if __name__ == "__main__":
    main()
