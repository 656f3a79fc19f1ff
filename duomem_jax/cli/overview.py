"""`duomem --help`: a table of contents."""

from collections.abc import Iterable, Iterator

from duomem_jax.cli.commands import CHAPTERS, Command

GROUPS = {
    "memory": "A store of memories: add, plan, recall, answer, show, history, forget, export, ...",
    "locomo": "Conversations of many sessions, and questions about them: prepare, run, score, ...",
}
SUMMARY = """\
Distil a large teacher's skill into a small student, as memories that it reads and as adapters on
its weights; and keep the memories of conversations."""
_TAIL = """
`duomem COMMAND --help` lists the options of a command and shows an example; `duomem memory` and
`duomem locomo` list the commands of a group; `duomem --version` says which release this is.
Each command that was stopped goes on where it was when it is given again.

Exit status: 0 done; 1 an error of the program itself; 2 a mistake, named in one sentence, or
Ctrl-C; 75 stopped by the machine (SIGTERM, a lost host): give the same command again.
Completion: duomem --tyro-print-completion bash (or zsh, tcsh)."""


def overview(commands: Iterable[Command]) -> str:
    """All commands under their chapters, a line each; groups as one."""
    return "\n".join(_lines(list(commands)))


def _lines(commands: list[Command]) -> Iterator[str]:
    yield f"usage: duomem COMMAND [options]\n\n{SUMMARY}\n"
    for chapter in CHAPTERS:
        yield chapter
        told = set()
        for command in (c for c in commands if c.chapter == chapter):
            first = command.name.split(" ")[0]
            if first not in told:
                told.add(first)
                yield f"  {first:15}{GROUPS.get(first, command.summary)}"
        yield ""
    yield _TAIL.strip()
