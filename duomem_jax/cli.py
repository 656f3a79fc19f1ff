"""`duomem <stage>`: one sub-command per arrow of the data flow, made from the stages themselves."""

import sys
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

from duomem_jax.base.commandline import run_command
from duomem_jax.base.terminal import say

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
        "examples": stages.examples,
        "label": stages.label,
        TRAIN: _train_help,
        "evaluate": stages.evaluate,
        "audit": stages.audit,
        "export": stages.export,
        "compile-check": stages.compile_check,
        "compare": experiments.compare,
        "quickstart": experiments.quickstart,
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
    # Imported here: it takes seconds, in which Ctrl-C is to end as it does later.
    import tyro

    from duomem_jax.mesh.compile_cache import keep_compiled

    # Before anything compiles, and only here: it changes the environment of the process.
    keep_compiled()
    _show(
        tyro.extras.subcommand_cli_from_dict(
            commands(),
            prog="duomem",
            description="Distil a teacher agent into a student: games, episodes, memories, "
            "examples, adapter, results, report.",
            args=argv,
        )
    )


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
