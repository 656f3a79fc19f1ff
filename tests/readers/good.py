"""A good folder of each kind, small enough to be copied for every example."""

import json
import lzma
import shutil
from pathlib import Path

import numpy as np
import pytest
from made_up_locomo import CONVERSATION, ERRORS


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Where the folders are made."""
    return tmp_path_factory.mktemp("readers")


@pytest.fixture(scope="session")
def one_game(played, made):
    """A generated game in its folder."""
    first = min((played / "games").rglob("game.tw-pddl")).parent
    place = made / "one_game" / first.relative_to(played / "games")
    shutil.copytree(first, place)
    return made / "one_game"


@pytest.fixture(scope="session")
def problem_folder(one_game, made):
    """The PDDL problem of a game as a file of its own, and the rest of the game beside it."""
    (file,) = one_game.rglob("game.tw-pddl")
    game, folder = json.loads(file.read_text()), made / "problem"
    folder.mkdir()
    (folder / "problem.pddl").write_text(game.pop("pddl_problem"))
    (folder / "game.json").write_text(json.dumps(game | {"id": str(file.parent.name)}))
    shutil.copy(file.with_name("traj_data.json"), folder)
    return folder


@pytest.fixture(scope="session")
def packed_games(played, made):
    """Two games as JSON Lines, packed and not, in a folder each."""
    from duomem_jax.worlds.household.load import load_games

    rows = [
        {
            "id": game.id,
            "task": game.text,
            "walkthrough": list(game.walkthrough),
            "pddl_problem": game.pddl_problem,
        }
        for game in load_games(played / "games", limit=2)
    ]
    text = "".join(json.dumps(row) + "\n" for row in rows).encode()
    for name, content in (("train.jsonl", text), ("train.jsonl.xz", lzma.compress(text))):
        folder = made / "packed_games" / name.partition(".")[2]
        folder.mkdir(parents=True)
        (folder / name).write_bytes(content)
    return made / "packed_games"


@pytest.fixture(scope="session")
def plain_games(packed_games):
    return packed_games / "jsonl"


@pytest.fixture(scope="session")
def compressed_games(packed_games):
    return packed_games / "jsonl.xz"


@pytest.fixture(scope="session")
def episodes_folder(played):
    return played / "episodes"


@pytest.fixture(scope="session")
def memories_folder(played):
    return played / "memories"


@pytest.fixture(scope="session")
def rows_folder(played):
    return played / "rows"


@pytest.fixture(scope="session")
def pictures_folder(made):
    """A picture of two tiles and their overview, one of a single tile; four numbers a token."""
    from duomem_jax.data.pictures import layout_of
    from duomem_jax.records.store.spec import PICTURES
    from duomem_jax.records.store.write import DatasetSpec, write_dataset

    config = {"model": "ab" * 32, "image_token": 9, "tile_tokens": 2, "width": 4}
    spec = DatasetSpec(PICTURES, layout_of(2, 4), config=config)
    names = {f"{i:02}" * 32: grid for i, grid in enumerate([(1, 2), (1, 1)])}

    def make(keys):
        for i, key in enumerate(keys):
            name = np.frombuffer(bytes.fromhex(key), np.uint8)
            grid = np.array(names[key], np.int32)
            tiles = 3 if grid.prod() > 1 else 1
            seen = [np.full((2, 4), i + tile / 8, np.float16) for tile in range(tiles)]
            yield key, [{"sha256": name, "grid": grid, "features": x} for x in seen], {}

    write_dataset(made / "pictures", list(names), make, spec)
    return made / "pictures"


@pytest.fixture(scope="session")
def dialogues_folder(made):
    """Three small generated dialogues."""
    from duomem_jax import stages
    from duomem_jax.worlds.dialogues import Size

    stages.dialogues(str(made / "dialogues"), 3, 1, size=Size(sessions=2, turns=8, questions=6))
    return made / "dialogues"


@pytest.fixture(scope="session")
def paired_folder(played):
    return played / "paired"


RESULTS_CONFIG = {"protocol": {"games": "abc", "steps": 3}, "player": "p"}


@pytest.fixture(scope="session")
def results_folder(made):
    from duomem_jax.records.results import Result, ResultLog, Usage

    folder = made / "results"
    with ResultLog(folder / "r.sqlite", RESULTS_CONFIG) as log:
        for i in range(5):
            scores = {"success": float(i % 2), "score": float(i % 2), "steps": 3.0}
            log.append(Result("s", f"g{i}", f"g{i}", "put", 0, scores, Usage(10, 5, 0.5), "won"))
    return folder


LAYOUT = {"name": "text", "n": "int64"}


def half_spec():
    from duomem_jax.records.store.write import DatasetSpec

    return DatasetSpec("things", LAYOUT, config={"x": 1})


def write_half(folder, keys, *, finish):
    from duomem_jax.records.store.write import ShardWriter

    with ShardWriter(folder, half_spec()) as writer:
        for key in keys:
            if key not in writer:
                writer.add(key, [{"name": key, "n": 1}], {"units": 1})
        return writer.finish() if finish else None


@pytest.fixture(scope="session")
def half_written(made):
    """A dataset whose stage was killed after two of four units."""
    write_half(made / "half", ["a", "b"], finish=False)
    return made / "half"


@pytest.fixture(scope="session")
def other_shard(made):
    """A dataset of two shards, of which the second is there."""
    from duomem_jax.base.shard import Shard
    from duomem_jax.records.store.write import ShardWriter

    with ShardWriter(made / "shards", half_spec(), Shard(1, 2)) as writer:
        writer.add("b", [{"name": "b", "n": 1}], {"units": 1})
        writer.finish()
    return made / "shards"


QUESTION = {"model": "m", "prompt": [5, 7, 9], "prompt_logprobs": 2}
CHAT_ANSWER = {
    "model": "m-1",
    "choices": [
        {"message": {"role": "assistant", "content": "Action: look"}, "finish_reason": "stop"}
    ],
    "usage": {"prompt_tokens": 11, "completion_tokens": 3},
}
SCORES_ANSWER = {
    "choices": [
        {
            "text": "x",
            "prompt_logprobs": [
                None,
                {"7": {"logprob": -0.5, "rank": 1}, "8": {"logprob": -1.5, "rank": 2}},
                {"4": {"logprob": -0.5}, "5": {"logprob": -1.5}, "9": {"logprob": -3.0}},
            ],
        }
    ],
}
VECTORS_ANSWER = {
    "data": [{"index": 1, "embedding": [0.5, 0.25]}, {"index": 0, "embedding": [1.0, 0.0]}],
    "model": "e",
}


@pytest.fixture(scope="session")
def answers(made):
    """What servers answer."""
    folder = made / "answers"
    folder.mkdir()
    named = {"chat": CHAT_ANSWER, "scores": SCORES_ANSWER, "vectors": VECTORS_ANSWER}
    for name, answer in named.items():
        (folder / f"{name}.json").write_text(json.dumps(answer))
    return folder


@pytest.fixture(scope="session")
def paid(made):
    """A ledger with one answer."""
    from duomem_jax.speak.served.ledger import Ledger
    from duomem_jax.speak.served.server import Server

    ledger = Ledger(made / "paid" / "served", "m", Server())
    ledger.keep("key", CHAT_ANSWER, 1)
    ledger.close()
    return made / "paid"


@pytest.fixture(scope="session")
def marked(made):
    """A folder of results, marked as one."""
    from duomem_jax.base.folder import claim_folder

    return claim_folder(made / "marked", "an audit")


@pytest.fixture(scope="session")
def locomo_folder(made):
    """A conversation in LoCoMo's form, with an audit's corrections beside it."""
    folder = made / "locomo"
    folder.mkdir()
    (folder / "locomo.json").write_text(json.dumps([CONVERSATION]))
    (folder / "audit_errors.json").write_text(json.dumps(ERRORS))
    return folder


ADDRESS = "https://a.example/bicycle.png"


@pytest.fixture(scope="session")
def fetched_folder(made):
    """A conversation in LoCoMo's form, its picture and the list of its hash."""
    from seeing import made_up

    from duomem_jax import stages
    from duomem_jax.worlds.dialogues.fetched import file_name

    folder = made / "fetched"
    folder.mkdir()
    talk = json.loads(json.dumps(CONVERSATION))
    talk["conversation"]["session_2"][0]["img_url"] = [ADDRESS]
    (folder / "locomo.json").write_text(json.dumps([talk]))
    made_up().save(folder / file_name(ADDRESS), "PNG")
    out = made / "fetched_talks"
    stages.locomo.prepare(str(out), str(folder / "locomo.json"), pictures=str(folder))
    shutil.copy(out / "pictures.json", folder)
    return folder


@pytest.fixture(scope="session")
def lines_folder(made):
    """Dialogues as lines, the first with a picture beside them."""
    from seeing import made_up

    folder = made / "lines"
    folder.mkdir()
    turn = {"speaker": "Ann", "text": "I moved to Nice.", "id": "a", "caption": "a town"}
    fact = {"text": "Ann lives in Nice.", "speaker": "Ann", "session": 0, "evidence": ["a"]}
    asked = {"text": "Where is Ann?", "kind": "single-hop", "answer": "Nice", "evidence": ["a"]}
    talk = {
        "speakers": ["Ann", "Ben"],
        "sessions": [{"at": "2024-05-01T12:00:00Z", "turns": [turn | {"picture": "x.png"}]}],
        "facts": [fact],
        "questions": [asked],
    }
    lines = [talk | {"id": "one"}, talk | {"id": "two", "facts": []}]
    (folder / "talks.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    made_up().save(folder / "x.png")
    return folder


@pytest.fixture(scope="session")
def prompt(made):
    folder = made / "prompt"
    folder.mkdir()
    (folder / "mine.md").write_text("Write a script.\n\n$episode\n\nIt costs $$5.\n")
    return folder


@pytest.fixture(scope="session")
def generated(made):
    """Two generated games."""
    from duomem_jax import stages

    stages.generate(str(made / "generated"), 2, 5)
    return made / "generated"


@pytest.fixture(scope="session")
def run_folder(done, base_folder, made):
    """A finished run without its checkpoints, and its base beside the adapter."""
    shutil.copytree(done[1], made / "run", ignore=shutil.ignore_patterns("checkpoints"))
    shutil.copytree(base_folder, made / "run/base")
    shutil.copy(done[0], made / "run/config.py")
    return made / "run"


@pytest.fixture(scope="session")
def config_folder(made, base_folder, data_folder):
    from tiny_run import write_config

    folder = made / "config"
    folder.mkdir()
    write_config(folder, base_folder, data_folder, steps=2)
    return folder


@pytest.fixture(scope="session")
def model_base(base_folder, made):
    """A tiny model with a generation_config.json."""
    shutil.copytree(base_folder, made / "model")
    (made / "model/generation_config.json").write_text('{"eos_token_id": [0, 3]}')
    return made / "model"


@pytest.fixture(scope="session")
def sharded_model(base_folder, made):
    """The tiny model in two files with an index."""
    from safetensors.numpy import load_file, save_file

    folder = made / "sharded"
    folder.mkdir()
    shutil.copy(base_folder / "config.json", folder)
    tensors = load_file(base_folder / "model.safetensors")
    names = sorted(tensors)
    weight_map = {}
    for number, part in ((1, names[::2]), (2, names[1::2])):
        file = f"model-0000{number}-of-00002.safetensors"
        save_file({name: tensors[name] for name in part}, folder / file)
        weight_map |= dict.fromkeys(part, file)
    index = {"metadata": {"total_size": 1}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    return folder


@pytest.fixture(scope="session")
def tokenizer_folder(made):
    """The shipped tokenizer, its chat template in a file of its own."""
    from duomem_jax.models.shipped import model_folder

    source, folder = Path(model_folder("tiny-student")), made / "tokenizer"
    folder.mkdir()
    config = json.loads((source / "tokenizer_config.json").read_text())
    template = config.pop("chat_template")
    shutil.copy(source / "tokenizer.json", folder)
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "chat_template.jinja").write_text(template)
    return folder


@pytest.fixture(scope="session")
def exported_folder(run_folder, made):
    """A run and an export of its adapter."""
    from duomem_jax import stages

    folder = made / "with_export"
    shutil.copytree(run_folder, folder)
    stages.export(str(folder / "exported"), str(folder / "adapter"))
    return folder


@pytest.fixture(scope="session")
def shipped_tokenizer(made):
    """The shipped tokenizer as it is: its chat template is in its config."""
    from duomem_jax.models.shipped import model_folder

    folder = made / "shipped"
    ignored = shutil.ignore_patterns("*.safetensors", "*.md", "config.json")
    shutil.copytree(model_folder("tiny-student"), folder, ignore=ignored)
    return folder


def small_state(step):
    import jax
    import numpy as np
    import optax

    from duomem_jax.train.state.state import new_state

    rng = np.random.default_rng(step)
    state = new_state(optax.adamw(1e-3), {"a": rng.normal(size=(8, 8)).astype(np.float32)})
    state = jax.tree.map(jax.numpy.asarray, state)
    return type(state)(**(vars(state) | {"step": jax.numpy.int32(step)}))


def open_checkpoints(folder):
    from duomem_jax.train.state.checkpoint import Checkpoints

    return Checkpoints(folder, "lora", 5, {"base": "b", "base_fingerprint": "f"})


@pytest.fixture(scope="session")
def checkpoints(made):
    """Two checkpoints of a small state."""
    saver = open_checkpoints(made / "checkpoints")
    for step in (5, 10):
        saver.save(step, small_state(step), loss=1.0 / step)
    saver.close()
    return made / "checkpoints"


@pytest.fixture(scope="session")
def measured(made):
    """A run whose distance to its teacher was measured."""
    from dataclasses import asdict

    from duomem_jax.evals.fidelity import Fidelity

    folder = made / "measured"
    (folder / "adapter").mkdir(parents=True)
    facts = asdict(Fidelity(10, 0.5, 0.25, 1.5, 0.75, 0.125, (0.5, 0.5)))
    (folder / "fidelity.json").write_text(json.dumps(facts))
    return folder


@pytest.fixture(scope="session")
def store_folder(made):
    """A store with a history, and its export."""
    from duomem_jax.memory.embed.hashing import HashingEmbedder
    from duomem_jax.memory.operations.records import Add, Delete, Update
    from duomem_jax.memory.store.entry import Origin
    from duomem_jax.memory.store.store import Store

    folder = made / "store"
    with Store.open(folder / "s.sqlite", embedder=HashingEmbedder(8)) as store:
        origin = Origin("test", "ann", happened="2024-01-01T00:00:00Z")
        store.apply([Add("Ann lives in Rome", "Ann", ("D1:1",)), Add("Bob has a dog")], origin)
        store.apply([Update(1, "Ann lives in Oslo"), Delete(2), Add("a dog")], origin)
        store.export(folder / "s.jsonl")
    return folder
