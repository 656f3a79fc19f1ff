"""`duomem <stage>`: one sub-command per arrow of the data flow, made from the stages themselves."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tyro

from duomem_jax import experiments, stages
from duomem_jax.base.commandline import run_command
from duomem_jax.mesh.compile_cache import keep_compiled

COMMANDS: dict[str, Callable[..., Any]] = {
    "generate": stages.generate,
    "play": stages.play,
    "memories": stages.memories,
    "maintain": stages.maintain,
    "examples": stages.examples,
    "label": stages.label,
    "evaluate": stages.evaluate,
    "audit": stages.audit,
    "export": stages.export,
    "compile-check": stages.compile_check,
    "compare": experiments.compare,
    "quickstart": experiments.quickstart,
}


def main(argv: list[str] | None = None) -> None:
    """Entry point of `duomem`; a user's mistake is one sentence and exit status 2."""
    # Before anything compiles, and only here: it changes the environment of the process.
    keep_compiled()
    if status := run_command("duomem", lambda: _show(_called(argv))):
        sys.exit(status)


def _called(argv: list[str] | None) -> Any:
    return tyro.extras.subcommand_cli_from_dict(
        COMMANDS,
        prog="duomem",
        description="Distil a teacher agent into a student: games, episodes, memories, "
        "examples, adapter (train.py), results, report.",
        args=argv,
    )


def _show(result: Any) -> None:
    """Print what a stage returns: a sentence, a folder, or a report as a whole."""
    # A report is what the user wants to read; of other paths the name will do.
    if isinstance(result, Path) and result.suffix == ".md":
        result = result.read_text()
    print(result)


if __name__ == "__main__":
    main()
