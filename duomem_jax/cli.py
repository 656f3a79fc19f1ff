"""`duomem <stage>`: one sub-command per arrow of the data flow."""

import contextlib
import logging
import sys
from collections.abc import Callable, Iterator
from json import dumps
from pathlib import Path
from typing import Annotated, Literal

import tyro

from duomem_jax import stages
from duomem_jax.agents.play import Play
from duomem_jax.agents.player import Player
from duomem_jax.base.errors import StoppedError, UserError
from duomem_jax.base.shard import Shard
from duomem_jax.evals.audit.audit import Audit
from duomem_jax.memory.write import Writing
from duomem_jax.mesh.compile_cache import keep_compiled
from duomem_jax.speak.served.server import Server
from duomem_jax.stages.examples import Examples
from duomem_jax.stages.label import Label
from duomem_jax.stages.memories import SCRIPT
from duomem_jax.worlds import DEFAULT
from duomem_jax.worlds.games import Games

Folder = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="FOLDER")]
Config = Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="CONFIG")]


def generate(out: Folder, /, count: int = 300, seed: int = 0, world: str = DEFAULT) -> None:
    """Write generated games, in their world's own file format.

    Args:
        out: folder to write.
        count: how many games.
        seed: game i of a seed is always the same game.
        world: one that can generate games.
    """
    print(stages.make_games(out, count, seed, world))


def play(
    out: Folder,
    /,
    games: Games,
    player: Player,
    how: Play = Play(),
    shard: str = "0/1",
    server: Server = Server(),
) -> None:
    """Let a model, or a rule-based player of the world, play games and store its episodes.

    Args:
        out: folder to write.
        games: what is played.
        player: who plays.
        how: step limit and seed.
        shard: play part i/n; run all parts, in any order.
        server: where a player openai:NAME is.
    """
    print(stages.play(games, player, out, how, Shard.parse(shard), server).message)


def memories(
    out: Folder,
    /,
    episodes: str,
    embedder: str = "hashing",
    shard: str = "0/1",
    writer: str = SCRIPT,
    how: Writing = Writing(),
    server: Server = Server(),
) -> None:
    """Write one procedural memory for each won episode.

    Args:
        out: folder to write.
        episodes: folder of episodes, from `duomem play`.
        embedder: hashing, sentence-transformers[:model] or openai[:model].
        shard: write part i/n.
        writer: script (rules of the world, no model), or a model: folder, hub id, shipped one, or
            openai:NAME.
        how: prompt and sampling of a model that writes, and how one that runs here is held.
        server: where a writer openai:NAME is.
    """
    shard_of = Shard.parse(shard)
    print(stages.remember(episodes, out, embedder, shard_of, writer, how, server).message)


def maintain(
    out: Folder,
    /,
    memories: str,
    episodes: str,
    embedder: str = "hashing",
    writer: str = SCRIPT,
    how: Writing = Writing(),
    server: Server = Server(),
) -> None:
    """Write a new bank after use: drop memories that misled, add what was newly won.

    Args:
        out: folder to write; the old bank stays as it is.
        memories: the bank.
        episodes: what was played with it, from `duomem play`.
        embedder: the one of the bank.
        writer: script (rules of the world, no model), or a model: folder, hub id, shipped one, or
            openai:NAME.
        how: prompt and sampling of a model that writes, and how one that runs here is held.
        server: where a writer openai:NAME is.
    """
    print(stages.maintain(memories, episodes, out, embedder, writer, how, server).message)


def examples(
    out: Folder,
    /,
    episodes: str,
    tokenizer: str,
    memory: str = "",
    teacher: str = "",
    teacher_memory: str = "",
    how: Examples = Examples(),
    shard: str = "0/1",
) -> None:
    """Tokenise, mask and pack won episodes for `train.py`.

    Args:
        out: folder to write.
        episodes: folder of episodes.
        tokenizer: Hugging Face folder of the student.
        memory: bank whose memories some episodes show; empty: none do.
        teacher: model with another tokenizer, whose tokens rows hold beside the student's, aligned
            by bytes; empty: it has the student's tokenizer.
        teacher_memory: bank whose memories a teacher sees before every episode while the student
            does not (context distillation); empty: it reads what the student reads.
        how: row length, share of episodes with memories.
        shard: write part i/n.
    """
    shard_of = Shard.parse(shard)
    report = stages.prepare(
        episodes,
        tokenizer,
        out,
        memory,
        how,
        shard_of,
        teacher=teacher,
        teacher_memory=teacher_memory,
    )
    print(report.message)


def label(
    out: Folder,
    /,
    examples: str,
    teacher: str,
    how: Label = Label(),
    shard: str = "0/1",
    server: Server = Server(),
) -> None:
    """Store a teacher's distributions over the replies of packed rows, for `train.py`.

    Args:
        out: folder to write.
        examples: packed rows, from `duomem examples`.
        teacher: model with the vocabulary of the rows: folder, hub id, or openai:NAME for one that
            vLLM serves.
        how: candidates, temperature.
        shard: write part i/n.
        server: where a served teacher is, and how hard to ask.
    """
    shard_of = Shard.parse(shard)
    print(stages.label(examples, teacher, out, how, shard_of, server).message)


def evaluate(
    out: Folder,
    /,
    games: Games,
    player: Player,
    how: Play = Play(),
    shard: str = "0/1",
    server: Server = Server(),
) -> None:
    """Play games with one arm; write results and a report of all arms in the folder.

    Args:
        out: folder for results, report.md and success.png.
        games: what is played.
        player: the arm; its name is the row of the table.
        how: step limit and seed.
        shard: play part i/n; the last one to end reports the results of all.
        server: where a player openai:NAME is.
    """
    from duomem_jax.evals.games.describe import games_in
    from duomem_jax.records.results import collect_results
    from duomem_jax.report.write import write_report

    stages.evaluate(games, player, out, how, server, Shard.parse(shard))
    rows, description = collect_results([out]), games_in(games.open_world())
    note = f"{games.protocol(how.max_steps)}."
    report = write_report(out, rows, description, title="Success on games", note=note)
    print(report.read_text())


def audit(
    out: Folder,
    /,
    student: str,
    train: str,
    held_out: str,
    adapters: tuple[str, ...] = (),
    teacher: str = "",
    how: Annotated[Audit, tyro.conf.arg(name="")] = Audit(),
) -> None:
    """Memorization audit: which text of episodes models give back from a prefix of it.

    Args:
        out: folder for scores, report.md and reproduced.png.
        student: base model of the adapters, which is audited too.
        train: folder of the episodes that the adapters learnt from.
        held_out: folder of episodes of games that none of the models learnt from.
        adapters: name=folder for each adapter; a name given again is another seed of it.
        teacher: model whose memory may have been inherited; empty: none.
        how: sizes.
    """
    from duomem_jax.report.audit import write_audit

    scores = stages.audit(student, adapters, teacher, train, held_out, out, how)
    note = (
        f"Learnt from {train}, held out {held_out}; {how.suffix} tokens after {how.prefix} given, "
        f"{how.dtype}."
    )
    print(write_audit(out, scores, note=note).read_text())


def export(
    out: Folder,
    /,
    adapter: str,
    base: str = "",
    merged: bool = False,
    results: str = "",
) -> None:
    """Write an adapter with a model card, for PEFT; or merged into its base, for transformers.

    Args:
        out: folder to write.
        adapter: folder `adapter` of a run of train.py.
        base: the base model; empty: the one the adapter names.
        merged: write the whole model instead of the adapter.
        results: folder of results that the card quotes.
    """
    from duomem_jax.stages.export import export as run_export

    print(run_export(adapter, out, base=base, merged=merged, results=results))


def compile_check(
    config: Config,
    /,
    topology: str,
    slices: int = 1,
    model: str = "",
    fields: tuple[str, ...] = (),
    length: int = 4096,
    replies: int = 0,
    candidates: int = 32,
    steps: tuple[Literal["train", "decode"], ...] = ("train", "decode"),
    json: bool = False,
) -> None:
    """Compile the train and the decode step for TPUs that are not there: memory, work, least time.

    Args:
        config: of train.py.
        topology: chips of a slice, such as v5e:4x4, v5e-16, v5p:2x2x4, v6e-64.
        slices: so many of them.
        model: folder or hub id in place of the config's base; its config.json is enough.
        fields: of the config that are set otherwise, such as global-batch=64 mesh.fsdp=4.
        length: tokens of a row, and of a cache.
        replies: reply tokens a row has at most; 0: all.
        candidates: stored targets a reply token, where the objective reads them.
        steps: what is compiled.
        json: print one line of JSON instead of tables.
    """
    from duomem_jax.aot.check import check
    from duomem_jax.aot.steps import Rows
    from duomem_jax.aot.text import compiled_text
    from duomem_jax.aot.topology import compile_devices, parse_topology
    from duomem_jax.train.config import load_config

    base = [f"--base={model}"] if model else []
    train_config = load_config(config, [*(f"--{field}" for field in fields), *base])
    rows = Rows(length, min(replies or length, length), candidates)
    chips = parse_topology(topology, slices)
    found = check(train_config, chips, compile_devices(chips), rows, steps)
    print(dumps(found.to_dict()) if json else compiled_text(found))


def compare(config: Config, /) -> None:
    """Run a whole experiment: play, remember, distil with several seeds, evaluate every arm.

    Args:
        config: file whose get_experiment() returns an Experiment, such as
            configs/alfworld_tiny.py; run it again after a crash, it goes on where it stopped.
    """
    from duomem_jax.experiments.experiment import load_experiment, run_experiment

    print(run_experiment(load_experiment(Path(config))).read_text())


def quickstart(out: Folder = "runs/quickstart", /) -> None:
    """DuoMem in miniature on generated games: about ten minutes on two cores.

    Args:
        out: folder for everything it makes; what is there already is reused.
    """
    from duomem_jax.experiments.quickstart import run_quickstart

    run_quickstart(out)


COMMANDS: dict[str, Callable[..., None]] = {
    "generate": generate,
    "play": play,
    "memories": memories,
    "maintain": maintain,
    "examples": examples,
    "label": label,
    "evaluate": evaluate,
    "audit": audit,
    "export": export,
    "compile-check": compile_check,
    "compare": compare,
    "quickstart": quickstart,
}


@contextlib.contextmanager
def _news() -> Iterator[None]:
    """What the library has to tell, on standard error, a plain line each."""
    logger, handler = logging.getLogger("duomem_jax"), logging.StreamHandler()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)


def main(argv: list[str] | None = None) -> None:
    """Entry point of `duomem`; a user's mistake is one sentence and exit status 2."""
    keep_compiled()
    try:
        with _news():
            tyro.extras.subcommand_cli_from_dict(
                COMMANDS,
                prog="duomem",
                description="Distil a teacher agent into a student: games, episodes, memories, "
                "examples, adapter (train.py), results, report.",
                args=argv,
            )
    except UserError as e:
        sys.exit(_fail(e))
    except StoppedError as e:
        _fail(e)
        sys.exit(e.status)
    except KeyboardInterrupt:
        sys.exit(_fail("stopped; run the same command again to go on"))


def _fail(message: object) -> int:
    print(f"duomem: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    main()
