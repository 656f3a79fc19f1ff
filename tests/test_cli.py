"""Every sub-command on a small scale, run again, in shards, and with bad input."""

import json

import pytest

from duomem_jax import cli
from duomem_jax.models.shipped import model_folder
from duomem_jax.records.played import read_episodes
from duomem_jax.records.results import read_results
from duomem_jax.records.store.reader import read_dataset

GAMES = 6


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Generated games, the expert's episodes and their memories."""
    root = tmp_path_factory.mktemp("cli")
    run("generate", root / "games", "--count", GAMES, "--seed", 4)
    run("play", root / "episodes", *expert(root))
    run("memories", root / "memories", "--episodes", root / "episodes")
    return root


def run(*args):
    cli.main([str(arg) for arg in args])


def expert(root):
    return ("--games.path", root / "games", "--player.name", "e", "--player.model", "expert")


def refused(capsys, *args):
    """The one sentence that a mistake is answered with."""
    with pytest.raises(SystemExit) as stop:
        run(*args)
    assert stop.value.code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_episodes_of_the_expert_are_won_and_remembered(root):
    episodes = read_episodes(root / "episodes")
    assert len(episodes) == GAMES
    assert all(e.success and e.player == "expert" for e in episodes)
    assert len(read_dataset(root / "memories", "train")) == GAMES


def test_a_bank_is_kept_up_with_what_was_played(root, tmp_path):
    run(
        "maintain",
        tmp_path / "kept",
        *("--memories", root / "memories", "--episodes", root / "episodes"),
    )
    texts = [m["text"] for m in read_dataset(tmp_path / "kept", "train")]
    assert sorted(texts) == sorted(m["text"] for m in read_dataset(root / "memories", "train"))


def test_examples_hold_the_replies_and_some_memories(root):
    folder = root / "examples"
    run(
        "examples",
        folder,
        *("--episodes", root / "episodes", "--tokenizer", "tiny-student"),
        *("--memory", root / "memories", "--how.memory-share", "1.0"),
    )
    counts = json.loads((folder / "manifest.json").read_text())["splits"]["train"]["counts"]
    assert counts["examples"] == GAMES
    assert 0 < counts["loss_tokens"] < counts["tokens"]
    from duomem_jax.text.tokenizer import load_tokenizer

    text = load_tokenizer(model_folder("tiny-student")).decode(
        [t for row in read_dataset(folder, "train") for t in row["tokens"]]
    )
    assert text.count("Here are some guidelines") == GAMES


def test_label_stores_targets_for_rows(played, tmp_path, capsys):
    args = ["--examples", played / "rows", "--teacher", "tiny-teacher", "--how.k", 4]
    run("label", tmp_path / "labelled", *args, "--how.rows", 1)
    rows = list(read_dataset(tmp_path / "labelled", "train"))
    assert len(rows) == len(list(read_dataset(played / "rows", "train")))
    assert str(len(rows)) in capsys.readouterr().out
    first = next(iter(rows))
    assert {k for k in first if k.startswith("target_")} >= {"target_ids", "target_log_probs"}


def test_a_second_run_reuses_what_is_there(root, capsys):
    run("generate", root / "games", "--count", GAMES, "--seed", 4)
    assert "reused" in capsys.readouterr().out
    run("play", root / "episodes", *expert(root))
    assert "already complete" in capsys.readouterr().out


def test_shards_together_are_the_whole(root, tmp_path):
    for i in range(2):
        run("play", tmp_path / "parts", *expert(root), "--shard", f"{i}/2")
    whole = {e.game_id: e for e in read_episodes(root / "episodes")}
    assert {e.game_id: e for e in read_episodes(tmp_path / "parts")} == whole


def test_evaluate_writes_results_and_a_report(root, tmp_path, capsys):
    run("evaluate", tmp_path / "out", *expert(root))
    assert "| e " in capsys.readouterr().out
    assert len(read_results(tmp_path / "out/e.seed0.sqlite")) == GAMES
    assert {"report.md", "success.png", "report.json"} <= {
        p.name for p in (tmp_path / "out").iterdir()
    }


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("--games.path", "nowhere"), "nowhere"),
        (("--shard", "3"), "shard '3'"),
        (("--shard", "4/2"), "shard '4/2'"),
        (("--player.model", "no-such-folder"), "no-such-folder"),
        (("--how.max-steps", 0), "max_steps"),
        (("--how.slots", 0), "slots"),
    ],
)
def test_a_mistake_is_one_sentence_and_leaves_nothing(root, tmp_path, capsys, args, says):
    assert says in refused(capsys, "play", tmp_path / "out", *expert(root), *args)
    assert not list(tmp_path.glob("out/*.array_record*"))


def test_a_folder_of_other_games_is_refused(root, capsys):
    sentence = refused(capsys, "play", root / "episodes", *expert(root), "--how.max-steps", 7)
    assert "max_steps=50" in sentence


def test_a_broken_game_is_named(root, tmp_path, capsys):
    broken = tmp_path / "games/pick_and_place_simple-Mug-None-Desk-301/trial_T1"
    broken.mkdir(parents=True)
    (broken / "game.tw-pddl").write_text('{"pddl_problem": "(define')
    args = ("--games.path", tmp_path / "games", "--player.name", "e", "--player.model", "expert")
    assert "trial_T1/game.tw-pddl" in refused(capsys, "play", tmp_path / "out", *args)


def test_a_tampered_record_is_named(root, tmp_path, capsys):
    import shutil

    shutil.copytree(root / "episodes", tmp_path / "episodes")
    file = next((tmp_path / "episodes").glob("*.array_record*"))
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    sentence = refused(capsys, "memories", tmp_path / "m", "--episodes", tmp_path / "episodes")
    assert file.name in sentence
