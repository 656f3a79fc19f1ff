"""Every path that a command takes, given everything else that a user may have: one sentence."""

import shutil

import pytest

import train
from duomem_jax import cli, stages
from duomem_jax.agents.player import Player
from duomem_jax.models.shipped import model_folder
from duomem_jax.worlds.dialogues import Size
from duomem_jax.worlds.games import Games

STUDENT = str(model_folder("tiny-student"))


@pytest.fixture(scope="module")
def things(played, done, tmp_path_factory):
    """One of each kind that a user may have, by name."""
    root = tmp_path_factory.mktemp("things")
    stages.results(
        str(root / "results"), Games(str(played / "games"), limit=1), Player("e", "expert")
    )
    stages.dialogues(str(root / "dialogues"), 2, size=Size(sessions=1, turns=8))
    stages.demonstrations(str(root / "demonstrations"), str(root / "dialogues"), "extract")
    who = ("--assistant.name", "a", "--assistant.model", STUDENT, "--assistant.shown", "nothing")
    cli.main(["locomo", "run", str(root / "answers"), "--dialogues", str(root / "dialogues"), *who])
    cli.main(["memory", "add", str(root / "store"), "I live in Oslo."])
    (root / "empty").mkdir()
    (root / "notes.txt").write_text("some notes\n")
    shutil.copytree(done[1], root / "run")
    return {
        **{name: str(played / name) for name in ("games", "episodes", "memories", "rows")},
        "results": str(root / "results"),
        **{n: str(root / n) for n in ("dialogues", "demonstrations", "answers", "store")},
        "run": str(root / "run"),
        "adapter": str(root / "run/adapter"),
        "model": STUDENT,
        "empty": str(root / "empty"),
        "file": str(root / "notes.txt"),
        "nothing": str(root / "nowhere"),
    }


# (command, the argument's place): what it takes. X is the place, other words are things.
PLACES = {
    "play {out} --games.path X --player.name e --player.model expert": "games",
    "play {out} --games.path {games} --player.name s --player.model X": "model",
    "play {out} --games.path {games} --player.name s --player.model {model} "
    "--player.memory X": "memories",
    "evaluate {out} --games.path {games} --player.name s --player.model {model} "
    "--player.adapter X": "adapter",
    "memories {out} --episodes X": "episodes",
    "memories {out} --episodes {episodes} --writer X": "model",
    "maintain {out} --memories X --episodes {episodes}": "memories",
    "maintain {out} --memories {memories} --episodes X": "episodes",
    "examples {out} --episodes X --tokenizer {model}": "episodes",
    "examples {out} --episodes {episodes} --tokenizer X": "model",
    "examples {out} --episodes {episodes} --tokenizer {model} --memory X": "memories",
    "examples {out} --episodes {episodes} --tokenizer {model} --teacher X": "model",
    "examples {out} --episodes {episodes} --tokenizer {model} --teacher-memory X": "memories",
    "label {out} --examples X --teacher {model}": "rows",
    "label {out} --examples {rows} --teacher X": "model",
    "audit {out} --student X --train {episodes} --held-out {episodes}": "model",
    "audit {out} --student {model} --train X --held-out {episodes}": "episodes",
    "audit {out} --student {model} --train {episodes} --held-out {episodes} "
    "--adapters a=X": "adapter",
    "export {out} --adapter X": "adapter",
    "export {out} --adapter {adapter} --base X --merged": "model",
    "export {out} --adapter {adapter} --results X": "results",
    "demonstrations {out} --dialogues X --operation extract": "dialogues",
    "examples {out} --demonstrations X --tokenizer {model}": "demonstrations",
    "locomo prepare {out} --file X": "",
    "locomo run {out} --dialogues X --assistant.name a --assistant.model {model}": "dialogues",
    "locomo run {out} --dialogues {dialogues} --assistant.name a --assistant.model X": "model",
    "locomo run {out} --dialogues {dialogues} --assistant.name a --assistant.model {model} "
    "--assistant.answer X": "",
    "locomo score X": "answers",
    "memory show X": "store",
    "memory recall X words": "store",
    "memory import {out} X": "",
    "memory bank {out} X": "memories",
    "memory credit {store} --episodes X": "episodes",
    "memory answer {store} words --model X": "model",
    "chat {store} --model X": "model",
    "compare X": "",
    "compile-check X --topology v5e-4": "",
    "train --base X --data {rows}": "model",
    "train --data X": "rows",
    "train --validation X": "rows",
    "train --adapter X": "adapter",
    "train --teacher X --objective.name forward_kl": "model",
}
KINDS = (
    *("games", "episodes", "memories", "rows", "results", "run", "adapter", "model"),
    *("dialogues", "demonstrations", "answers", "store", "empty", "file", "nothing"),
)


@pytest.mark.parametrize("place", PLACES)
def test_whatever_else_is_there_is_one_sentence(place, things, config_file, tmp_path, capsys):
    for kind in KINDS:
        if kind == PLACES[place]:
            continue
        out = tmp_path / kind
        words = [w.format(out=out, **things).replace("X", things[kind]) for w in place.split()]
        if words[0] == "train":
            status = train.main(["--config", str(config_file), "--output", str(out), *words[1:]])
        else:
            with pytest.raises(SystemExit) as end:
                cli.main(words)
            status = end.value.code
        error = capsys.readouterr().err
        assert status == 2, (kind, error)
        assert error.count("\n") == 1, (kind, error)
        assert things[kind] in error, (kind, error)
        assert not out.is_file(), kind
        assert not out.exists() or not any(out.rglob("*.*record*")), kind
