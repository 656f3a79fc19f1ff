"""What stages leave for each other, damaged: games, datasets, logs, marks, answers of servers."""

import dataclasses
import json
import shutil
import tempfile
from dataclasses import astuple
from pathlib import Path

import jax
import numpy as np
import pytest
from damage import Place
from good import ADDRESS, QUESTION, RESULTS_CONFIG, write_half
from reading import Reader, check_found, short_and_long

from duomem_jax import stages
from duomem_jax.base.errors import UserError
from duomem_jax.base.folder import claim_folder
from duomem_jax.base.prompts import load_prompt
from duomem_jax.data.facts import RowFacts
from duomem_jax.data.loader import batches
from duomem_jax.data.pictures import StoredPictures
from duomem_jax.memory.bank import MemoryBank
from duomem_jax.memory.embed.hashing import HashingEmbedder
from duomem_jax.memory.embed.openai import _vectors
from duomem_jax.memory.store.store import Store
from duomem_jax.objectives import Batch, Seen
from duomem_jax.records.chat import picture
from duomem_jax.records.lines.dialogues import read_dialogue_lines
from duomem_jax.records.pictures import Gathered
from duomem_jax.records.played import read_episodes
from duomem_jax.records.results import ResultLog, collect_results
from duomem_jax.records.store.reader import read_dataset
from duomem_jax.records.talked import read_dialogues
from duomem_jax.speak.served.chat import read_reply
from duomem_jax.speak.served.http import MalformedError
from duomem_jax.speak.served.ledger import Ledger
from duomem_jax.speak.served.scores import read_scores
from duomem_jax.speak.served.server import Server
from duomem_jax.worlds.dialogues.fetched import fetched, read_hashes, shared, to_fetch
from duomem_jax.worlds.dialogues.locomo import read_locomo
from duomem_jax.worlds.games import Games

LOCKS = ("*.lock", "*/.lock")


def play(folder):
    """Every game there, and what its first two commands lead to."""
    games = Games(str(folder))
    world, found = games.open_world(), []
    for game in games.load():
        env = world.open(game)
        said = [env.reset()]
        said += [str(env.step(command)) for command in (*game.walkthrough[:1], "look")]
        found.append((game.id, game.text, game.kind, said))
    return found


def play_problem(engine):
    def play(folder):
        try:
            problem = (folder / "problem.pddl").read_text()
        except (OSError, ValueError):
            raise UserError("no text, which a game's JSON cannot hold") from None
        game = json.loads((folder / "game.json").read_text()) | {"pddl_problem": problem}
        with tempfile.TemporaryDirectory() as root:
            place = Path(root, "look_at_obj_in_light-x", "trial")
            place.mkdir(parents=True)
            shutil.copy(folder / "traj_data.json", place)
            (place / "game.tw-pddl").write_text(json.dumps(game))
            games = Games(root, engine=engine)
            (task,), world = games.load(), games.open_world()
            env = world.open(task)
            return [env.reset(), env.step("look"), env.step("go to bed 1")]

    return play


def episodes(folder):
    return [astuple(episode) for episode in read_episodes(folder)]


def dialogues(folder):
    return [repr(dialogue) for dialogue in read_dialogues(folder)]


def memories(folder):
    bank = MemoryBank.load(folder, HashingEmbedder())
    found = bank.retrieve("put a clean mug in the desk", 3)
    return [astuple(memory) for memory in (*found, *bank.memories)]


def rows(folder):
    facts = RowFacts.read(folder)
    read = batches(folder, global_batch=2, seed=0)
    try:
        first = [next(read), next(read)]
    finally:
        read.close()
    leaves = [x.tobytes() for batch in first for x in jax.tree.leaves(batch)]
    return facts.rows, facts.student, facts.teacher, facts.counts, leaves


def pictures(folder):
    stored = StoredPictures(folder)
    parts = [picture("a.png", f"{i:02}" * 32) for i in range(2)]
    seen = Seen(np.zeros((1, 8), np.int32), np.array([[*stored.tiles(parts), -1]], np.int32))
    shown = stored.shown(Batch(None, seen=seen)).seen.features_BnD
    facts = dataclasses.replace(stored.facts, folder="")
    return facts, [stored.grid(part) for part in parts], shown.tobytes()


def results(folder):
    return sorted(map(repr, collect_results([folder])))


def result_log(folder):
    with ResultLog(folder / "r.sqlite", RESULTS_CONFIG) as log:
        return sorted(map(repr, log.rows))


def resumed(folder):
    report = write_half(folder, ["a", "b", "c"], finish=True)
    return report.status, list(map(repr, read_dataset(folder, "train")))


def second_shard(folder):
    from good import half_spec

    from duomem_jax.base.shard import Shard
    from duomem_jax.records.store.write import ShardWriter

    with ShardWriter(folder, half_spec(), Shard(0, 2)) as writer:
        writer.add("a", [{"name": "a", "n": 1}], {"units": 1})
        report = writer.finish()
    return report.status, list(map(repr, read_dataset(folder, "train")))


def ledger(folder):
    paid = Ledger(folder / "served", "m", Server())
    try:
        return paid.find("key"), paid.bill
    finally:
        paid.close()


def memory_store(*, checked):
    def read(folder):
        with Store.open(folder / "s.sqlite", make=False) as store:
            if checked:
                store.check()
            found = store.entries(), store.history(1), store.history(2)
            if not checked:
                found += (store.recall("Oslo dog"), store.vectors(), store.owners(), len(store))
            return repr(found)

    return read


def memory_export(folder):
    with tempfile.TemporaryDirectory() as place, Store.open(Path(place, "s.sqlite")) as store:
        store.import_(folder / "s.jsonl")
        return repr((store.entries(), store.history(1), store.history(2)))


def answer(name, read):
    def take_apart(folder):
        try:
            body = json.loads((folder / name).read_text())
        except (ValueError, RecursionError, OSError):
            raise UserError("no JSON, which the client asks for again") from None
        try:
            return repr(read(body))
        except MalformedError as e:
            raise UserError(f"malformed, so asked again: {e}") from None

    return take_apart


def locomo(folder):
    found = read_locomo(folder / "locomo.json")
    return found.dialogues, found.repairs


def fetched_pictures(folder):
    read = read_locomo(folder / "locomo.json")
    links = read.links[read.dialogues[0].id]
    listed = read_hashes(folder / "pictures.json")
    found = fetched([*links.values(), ADDRESS], folder, listed)
    to_fetch(found.missing)
    return shared(read.dialogues[0], links, found.names), found.names


def dialogue_lines(folder):
    return read_dialogue_lines(folder / "talks.jsonl", Gathered())


def regenerate(folder):
    return stages.generate(str(folder), 2, 5).replace(str(folder), "")


GAME, SQLITE = "**/game.tw-pddl", "binary"
READERS = [
    Reader("games: game.tw-pddl", "one_game", GAME, "json", play),
    Reader("games: PDDL", "problem_folder", "problem.pddl", "text", play_problem("fast")),
    Reader("games: traj_data.json", "one_game", "**/traj_data.json", "json", play),
    Reader("games: jsonl", "plain_games", "train.jsonl", "json lines", play),
    Reader("games: jsonl.xz", "compressed_games", "train.jsonl.xz", "binary", play, sealed=True),
    *(
        Reader(f"{folder}: {name}", f"{folder}_folder", file, kind, read, sealed=sealed)
        for folder, read in (
            ("episodes", episodes), ("memories", memories), ("rows", rows),
            ("dialogues", dialogues), ("pictures", pictures),
        )
        for name, file, kind, sealed in (
            ("manifest", "manifest.json", "json", folder not in ("rows", "pictures")),
            ("features", "features.json", "json", True),
            ("dataset_info", "dataset_info.json", "json", True),
            ("shard", "*.array_record-00000*", "binary", True),
        )
    ),
    Reader("rows of two views: manifest", "paired_folder", "manifest.json", "json", rows),
    Reader(
        "memories: matrix", "memories_folder", "embeddings.npy", "binary", memories, sealed=True
    ),
    Reader("memories: facts", "memories_folder", "embeddings.json", "json", memories, sealed=True),
    Reader("results", "results_folder", "r.sqlite", SQLITE, results, sealed=True),
    Reader("results, written on", "results_folder", "r.sqlite", SQLITE, result_log, leaves=("*",)),
    Reader("half a dataset: log", "half_written", ".work/*.sqlite", SQLITE, resumed, leaves=("*",)),
    Reader(
        "half a dataset: identity", "half_written", ".work/*.json", "json", resumed, leaves=("*",)
    ),
    Reader(
        "other shard: facts", "other_shard", ".work/*-00001*.json", "json", second_shard,
        leaves=("*",),
    ),
    Reader("paid answers", "paid", "served.answers", SQLITE, ledger, leaves=("*",)),
    Reader(
        "store", "store_folder", "s.sqlite", SQLITE, memory_store(checked=False), leaves=("*",)
    ),
    Reader(
        "store, checked", "store_folder", "s.sqlite", SQLITE, memory_store(checked=True),
        sealed=True, leaves=("*",),
    ),
    Reader(
        "exported store", "store_folder", "s.jsonl", "json lines", memory_export, sealed=True,
    ),
    Reader(
        "mark", "marked", ".duomem.json", "json",
        lambda folder: claim_folder(folder, "an audit").is_dir(),
        leaves=(".duomem.json",),  # where there is none, the empty folder is taken
    ),
    Reader("generated games: facts", "generated", "generated.json", "json", regenerate),
    Reader("LoCoMo", "locomo_folder", "locomo.json", "json", locomo),
    Reader("LoCoMo: audit", "locomo_folder", "audit_errors.json", "json", locomo),
    *(
        Reader(f"LoCoMo's pictures: {name}", "fetched_folder", file, kind, fetched_pictures)
        for name, file, kind in (
            ("addresses", "locomo.json", "json"),
            ("hashes", "pictures.json", "json"),
            ("a file", "https-*", "binary"),
        )
    ),
    Reader("dialogue lines", "lines_folder", "talks.jsonl", "json lines", dialogue_lines),
    Reader("dialogue lines: a picture", "lines_folder", "x.png", "binary", dialogue_lines),
    Reader(
        "prompt", "prompt", "mine.md", "text",
        lambda f: load_prompt(str(f / "mine.md"), ("episode",)).fill(episode="e"),
    ),
    Reader("answer: chat", "answers", "chat.json", "json", answer("chat.json", read_reply)),
    Reader(
        "answer: scores", "answers", "scores.json", "json",
        answer("scores.json", lambda body: read_scores(body, QUESTION["prompt"], 2)),
    ),
    Reader(
        "answer: vectors", "answers", "vectors.json", "json",
        answer("vectors.json", lambda body: _vectors(body, 2)),
    ),
]  # fmt: skip


# What ended in a traceback, or in a wrong result, before these readers were tried.
FOUND = [
    ("games: game.tw-pddl", Place.FOLDER),
    ("games: game.tw-pddl", ("pddl_problem", "<deep>")),
    ("games: jsonl", ("task", "a mug \ud800")),
    ("episodes: manifest", ("content_hash", "<deep>")),
    ("episodes: manifest", ("splits.train", None)),
    ("episodes: manifest", ("splits.train.shards", [{"file": "../x"}])),
    ("episodes: features", ("pythonClassName", 1)),
    ("episodes: features", ("featuresDict.features.kind", {})),
    ("memories: manifest", ("splits.train", 1)),
    ("memories: facts", Place.FOLDER),
    ("memories: facts", ("sha256", "<deep>")),
    ("rows: manifest", ("splits.train.config.length", "256")),
    ("rows: manifest", ("splits.train.counts", {"examples": None})),
    ("half a dataset: identity", b""),
    ("half a dataset: identity", b"[]"),
    ("other shard: facts", b"{"),
    ("other shard: facts", ("counts", 1)),
    ("other shard: facts", Place.FOLDER),
]


@pytest.mark.parametrize(("name", "found"), FOUND)
def test_found_before(name, found, request):
    (reader,) = (reader for reader in READERS if reader.name == name)
    check_found(reader, request.getfixturevalue(reader.valid), found)


@pytest.mark.parametrize("depth", [110, 300, 3000])
@pytest.mark.parametrize("opening", ["(and ", "(not ", "(exists (?o - object) "])
def test_a_goal_that_is_too_deep(opening, depth, problem_folder, tmp_path):
    shutil.copytree(problem_folder, tmp_path / "game")
    file = tmp_path / "game/problem.pddl"
    start, _, _ = file.read_text().partition("(:goal")
    goal = opening * depth + "(opened x)" + ")" * depth
    file.write_text(f"{start}(:goal {goal})\n)\n")
    with pytest.raises(UserError, match="goal that is nested too deep"):
        play_problem("fast")(tmp_path / "game")


# It takes half a second a game.
TEXTWORLD = Reader(
    "games: PDDL, textworld", "problem_folder", "problem.pddl", "text", play_problem("textworld")
)
test_damaged_input_is_one_sentence, test_damaged_input_is_one_sentence_for_long = short_and_long(
    READERS, slow=[TEXTWORLD]
)
