"""A chat that remembers between runs."""

import sys
import time

from duomem_jax.base.errors import UserError
from duomem_jax.base.picture import read_picture
from duomem_jax.base.ranges import Count, checked
from duomem_jax.base.terminal import say
from duomem_jax.memory.operations.keeper import ModelKeeper
from duomem_jax.memory.operations.talk import Talker
from duomem_jax.memory.store.store import Store
from duomem_jax.records.dialogues import Turn
from duomem_jax.speak.served.server import Server
from duomem_jax.stages.memory import (
    File,
    Keep,
    answers_of,
    applied_line,
    memory_line,
    open_embedder,
    shared_with,
)

HELP = (
    "/memories shows what is remembered, /forget ID erases one, /picture FILE shares a picture "
    "with what you say next, /quit ends."
)


@checked
def chat(
    store: File,
    /,
    models: Keep,
    who: str = "",
    name: str = "User",
    k: Count = 8,
    embedder: str = "",
    server: Server = Server(),
) -> str:
    """Talk with a model that remembers what you say, also in its next run.

    Reads standard input line by line; after each reply it shows what was remembered.

    Args:
        store: file of the store, made if it is missing.
        models: the model and its experts; without experts it does everything as it is.
        who: whose memories these are, to keep several people apart.
        name: what memories call you.
        k: memories shown to the model before each reply.
        embedder: hashing, minilm, ...; empty: the one that the store has, hashing for a new one.
        server: where a model openai:NAME is.

    Raises:
        UserError: another file or embedder, or no such model.
    """
    with (
        models.open(server, answers_of(store)) as experts,
        Store.open(store, embedder=open_embedder(embedder), keeper=ModelKeeper(experts)) as opened,
    ):
        talker, picture = Talker(opened, experts.base, who, k), ""
        say(f"{len(opened.entries(who=who))} memories. {HELP}")
        for number, line in enumerate(sys.stdin, 1):
            if (said := line.strip()) == "/quit":
                break
            word, _, rest = said.partition(" ")
            if word == "/picture" and rest.strip():
                picture = _picture(rest.strip(), sees=experts.base.sees)
            elif said.startswith("/"):
                say(_command(opened, said, who))
            elif said:
                say(talker.reply(said, picture))
                _remember(opened, Turn(str(number), name, said), who, picture)
                picture = ""
        return f"{store}: {len(opened.entries(who=who))} memories"


def _picture(file: str, *, sees: bool) -> str:
    """The file of a picture; "" where it is none, which ends no talk."""
    try:
        read_picture(file)
    except UserError as e:
        say(str(e))
        return ""
    blind = "" if sees else "; this model does not see it, the store keeps it"
    say(f"{file} goes with what you say next{blind}")
    return file


def _remember(store: Store, turn: Turn, who: str, picture: str) -> None:
    """Remember what was said, and show what became of it."""
    # What the person said alone: a reply may repeat memories, which must not become new ones.
    start = time.monotonic()
    applied = store.remember([turn], who=who, pictures=shared_with(turn, picture))
    for each in applied:
        say(f"  {applied_line(store, each)}")
    say(f"  {time.monotonic() - start:.1f} s")


def _command(store: Store, line: str, who: str) -> str:
    """What is said to a line that begins with a slash."""
    word, _, rest = line.partition(" ")
    if word == "/memories":
        return "\n".join(map(memory_line, store.entries(who=who))) or "nothing"
    if word == "/forget" and rest.strip().isdecimal():
        return f"{len(store.forget(ids=[int(rest)], who=who))} erased"
    return HELP
