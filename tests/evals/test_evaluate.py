import dataclasses

import numpy as np
import pytest

from duomem_jax.agents.play import Play, Recall, Talk
from duomem_jax.agents.player import Player, identity
from duomem_jax.base.errors import UserError
from duomem_jax.base.folder import claim_folder
from duomem_jax.base.log import read_log
from duomem_jax.base.shard import Shard
from duomem_jax.evals.games.describe import GAMES
from duomem_jax.evals.games.evaluate import evaluate
from duomem_jax.evals.summary import summarize
from duomem_jax.lora.peft import save_adapter
from duomem_jax.memory.build import write_bank
from duomem_jax.memory.embed import make_embedder
from duomem_jax.models.config import ModelConfig
from duomem_jax.models.hf import fingerprint, save_pretrained
from duomem_jax.models.lora import LoraConfig
from duomem_jax.models.model import Model
from duomem_jax.records.memories import Memory
from duomem_jax.records.results import ResultLog, collect_results, read_results
from duomem_jax.speak.open import Local
from duomem_jax.text.tokenizer import load_tokenizer
from duomem_jax.tiny.tokenizer import save_tokenizer, vocabulary
from duomem_jax.worlds.household.engine.fast import FastEngine
from duomem_jax.worlds.household.generate import generate_games
from duomem_jax.worlds.household.world import Household

EXPERT = Player("The teacher", "expert")
HOUSEHOLD = Household()


@pytest.fixture(scope="module")
def games():
    return list(generate_games(6, 8))


def random_like(tree, seed):
    import jax

    rng = np.random.default_rng(seed)
    return jax.tree.map(lambda x: (0.3 * rng.normal(size=x.shape)).astype("f"), tree)


@pytest.fixture(scope="module")
def folders(tmp_path_factory, games):
    """A random student with its tokenizer, an adapter and a bank of two memories."""
    root = tmp_path_factory.mktemp("folders")
    (root / "model").mkdir()
    vocab = vocabulary([FastEngine(game).reset() for game in games], min_count=1)
    save_tokenizer(root / "model", vocab, max_length=256)
    size = len(load_tokenizer(root / "model"))
    lora = LoraConfig(rank=2, alpha=4.0)
    model = Model(ModelConfig("qwen3", size, 16, 1, 2, 1, 8, 24, max_len=256), lora)
    save_pretrained(root / "model", model.config, random_like(model.shapes()["params"], 0))
    save_adapter(
        root / "adapter",
        random_like(model.shapes()["lora"], 1),
        lora,
        fingerprint(root / "model"),
        base_name="model",
    )
    memories = [Memory(f"m{i}", g.text, f"Go {i}.", g.id, "expert") for i, g in enumerate(games)]
    write_bank(root / "bank", memories, make_embedder(), source={}, config={})
    return root


def test_the_expert_is_a_player_like_any_other(games, tmp_path):
    path = evaluate(EXPERT, HOUSEHOLD, games, tmp_path, Play(slots=4, seed=2))
    assert path == tmp_path / "the-teacher.seed2.sqlite"
    rows = read_results(path)
    assert {r.item for r in rows} == {r.group for r in rows} == {g.id for g in games}
    (summary,) = summarize(rows, GAMES)
    assert summary.subject == "The teacher"
    assert summary.headline.mean > 0.8
    assert {(r.seed, r.cost.prompt_tokens, r.cost.new_tokens) for r in rows} == {(2, 0, 0)}
    assert all(r.cost.seconds > 0 for r in rows)


def test_a_stopped_run_goes_on_with_the_missing_games(games, tmp_path, capsys):
    how = Play(slots=2)
    path = evaluate(EXPERT, HOUSEHOLD, games, tmp_path / "whole", how)
    whole = read_results(path)
    stopped = tmp_path / "stopped" / path.name
    claim_folder(stopped.parent, "a set of results")
    with ResultLog(stopped, read_log(path)[0]) as log:
        log.append(*whole[:4])
    assert evaluate(EXPERT, HOUSEHOLD, games, tmp_path / "stopped", how) == stopped
    rows = read_results(stopped)
    assert rows[:4] == whole[:4]

    def plays(rows):
        return sorted((r.item, sorted(r.scores.items())) for r in rows)

    assert plays(rows) == plays(whole)
    assert capsys.readouterr().err.splitlines()[-1].startswith("The teacher, seed 0: 2/2 games")
    before = stopped.stat().st_mtime_ns
    evaluate(EXPERT, HOUSEHOLD, games, tmp_path / "stopped", how)
    assert stopped.stat().st_mtime_ns == before


def test_a_student_with_adapter_and_memory(games, folders, tmp_path):
    player = Player(
        "both",
        str(folders / "model"),
        Recall(str(folders / "bank"), k=1),
        Talk(max_new=8),
        Local(adapter=str(folders / "adapter")),
    )
    rows = read_results(
        evaluate(player, HOUSEHOLD, games[:3], tmp_path, Play(slots=3, max_steps=2))
    )
    assert len(rows) == 3
    assert {(r.subject, r.scores["steps"], r.ended) for r in rows} == {("both", 2, "steps")}
    assert all(r.cost.prompt_tokens > 50 and 4 <= r.cost.new_tokens <= 16 for r in rows)
    with pytest.raises(UserError, match=r"another protocol \(different: max_steps\)"):
        evaluate(player, HOUSEHOLD, games[:3], tmp_path, Play(slots=3, max_steps=3))


def test_games_are_shared_out_and_each_is_played_once(games, folders, tmp_path):
    """One of four shards is all that a run got to; two others finish it."""
    player = Player("student", str(folders / "model"), talk=Talk(max_new=4, temperature=1.0))
    how = Play(slots=2, max_steps=2, seed=3)
    whole = read_results(evaluate(player, HOUSEHOLD, games, tmp_path / "whole", how))
    out = tmp_path / "shared"
    first = evaluate(player, HOUSEHOLD, games, out, how, shard=Shard(1, 4))
    assert [r.item for r in read_results(first)] == [games[1].id, games[5].id]
    for index in (0, 1):
        evaluate(player, HOUSEHOLD, games, out, how, shard=Shard(index, 2))
    shared = collect_results([out])

    def plays(rows):
        return sorted((r.item, r.scores["steps"], r.cost.new_tokens, r.ended) for r in rows)

    assert plays(shared) == plays(whole)
    with pytest.raises(UserError, match=r"another protocol \(different: max_steps\)"):
        evaluate(player, HOUSEHOLD, games, out, Play(2, 3, 3), shard=Shard(0, 3))


def test_identity_omits_recall_options_of_a_player_without_memories(folders):
    player = Player("x", str(folders / "model"))
    other = dataclasses.replace(player, recall=Recall(k=7))
    assert identity(player, HOUSEHOLD) == identity(other, HOUSEHOLD)


def test_identity_follows_content_not_paths(folders, tmp_path):
    player = Player("x", str(folders / "model"), local=Local(adapter=str(folders / "adapter")))
    moved = tmp_path / "elsewhere"
    (folders / "model").rename(moved)
    try:
        assert identity(dataclasses.replace(player, model=str(moved)), HOUSEHOLD)[
            "model"
        ] == fingerprint(moved)
    finally:
        moved.rename(folders / "model")
    before = identity(player, HOUSEHOLD)
    file = folders / "adapter" / "adapter_config.json"
    text = file.read_text()
    file.write_text(text.replace('"lora_alpha": 4.0', '"lora_alpha": 5.0'))
    assert identity(player, HOUSEHOLD) != before
    file.write_text(text)
    assert identity(player, HOUSEHOLD) == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"local": Local(max_len=4096)}, "max_len 4096"),
        ({"local": Local(adapter="nowhere")}, "adapter_config.json"),
        ({"recall": Recall("nowhere")}, "nowhere"),
        ({"model": "nowhere"}, "nowhere"),
        ({"model": "expert", "local": Local(adapter="a")}, "adapter is for models"),
        ({"model": "expert", "talk": Talk(temperature=1.0)}, "temperature is for models"),
    ],
)
def test_bad_players_are_refused_with_a_sentence(folders, games, tmp_path, change, message):
    player = dataclasses.replace(Player("x", str(folders / "model")), **change)
    with pytest.raises(UserError, match=message):
        evaluate(player, HOUSEHOLD, games, tmp_path, Play(slots=1))
    other = dataclasses.replace(EXPERT, name="x")
    evaluate(other, HOUSEHOLD, games[:1], tmp_path, Play(slots=1))  # no row yet


def test_one_folder_holds_results_on_one_set_of_games(games, tmp_path):
    """Otherwise two players of one table would have played different games."""
    evaluate(EXPERT, HOUSEHOLD, games[:4], tmp_path, Play(slots=2))
    other = dataclasses.replace(EXPERT, name="another")
    for wanted, differs in (
        (games[:3], "games.content, games.count"),
        (games[1:5], "games.content"),
    ):
        with pytest.raises(UserError, match=rf"another protocol \(different: {differs}\)"):
            evaluate(other, HOUSEHOLD, wanted, tmp_path, Play(slots=2))
    # The same games in another order, from another file.
    again = [dataclasses.replace(game, file="elsewhere") for game in reversed(games[:4])]
    evaluate(other, HOUSEHOLD, again, tmp_path, Play(slots=2))
    assert len(collect_results([tmp_path])) == 8


def test_a_game_that_two_processes_played_counts_once(games, tmp_path):
    how = Play(slots=2)
    first = evaluate(EXPERT, HOUSEHOLD, games[:4], tmp_path, how, shard=Shard(0, 2))
    whole = tmp_path / "the-teacher.seed0.sqlite"
    # As if the whole had begun before the shard had played anything.
    with ResultLog(whole, read_log(first)[0]) as log:
        log.append(*read_results(first))
    evaluate(EXPERT, HOUSEHOLD, games[:4], tmp_path, how)
    rows = collect_results([tmp_path])
    assert sorted(row.item for row in rows) == sorted(game.id for game in games[:4])
