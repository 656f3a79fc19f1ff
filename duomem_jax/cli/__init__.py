"""`duomem <stage>`: one sub-command per arrow of the data flow, made from the stages themselves."""

import functools
import sys
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

from duomem_jax.base.commandline import run_command
from duomem_jax.base.terminal import say
from duomem_jax.cli.commands import TRAIN, Command, commands
from duomem_jax.cli.overview import GROUPS, SUMMARY, overview

__all__ = ["GROUPS", "call", "commands", "main"]


def main(argv: list[str] | None = None) -> None:
    """Entry point of `duomem`; a mistake of the user ends in one sentence and exit status 2."""
    given = sys.argv[1:] if argv is None else argv
    training = given[:1] == [TRAIN]
    name = f"duomem {TRAIN}" if training else "duomem"
    if status := run_command(name, lambda: _train(given[1:]) if training else _call(given)):
        sys.exit(status)


def _call(argv: list[str]) -> None:
    if argv == ["--version"]:
        say(f"duomem-jax {metadata.version('duomem-jax')}")
        return
    if not argv or argv[0] in ("-h", "--help"):
        say(overview(commands().values()))
        return
    from duomem_jax.mesh.compile_cache import keep_compiled

    # Before anything compiles, and only here: it changes the environment of the process.
    keep_compiled()
    _show(call(argv, {name: _with_example(command) for name, command in commands().items()}))


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
        description=SUMMARY,
        args=argv,
    )


def _group_helps() -> dict[str, Callable[..., Any]]:
    """What the list of commands says of each group."""

    def told(text: str) -> Callable[[], None]:
        def group() -> None: ...

        group.__doc__ = text
        return group

    return {name: told(text) for name, text in GROUPS.items()}


def _with_example(command: Command) -> Callable[..., Any]:
    """The function of a command, whose help shows how it is called."""

    @functools.wraps(command.run)
    def run(*args: Any, **kwargs: Any) -> Any:
        return command.run(*args, **kwargs)

    # Behind the first paragraph, which tells what it does; the arguments come last.
    first, *rest = (command.run.__doc__ or "").split("\n\n")
    example = f"    Example: duomem {command.name} {command.example}".rstrip()
    run.__doc__ = "\n\n".join([first, example, *rest])
    return run


def _train(argv: list[str]) -> None:
    from duomem_jax.mesh.compile_cache import keep_compiled
    from duomem_jax.mesh.hosts import joined
    from duomem_jax.train.command import train

    keep_compiled()
    train(argv, f"duomem {TRAIN}", joined)


def _show(result: Any) -> None:
    """Print what a stage returns: a sentence, a folder, or a report as a whole."""
    # A report is what the user wants to read; of other paths the name will do.
    if isinstance(result, Path) and result.suffix == ".md":
        result = result.read_text(encoding="utf-8")
    say(str(result))
