"""The student plays its own rows; who spoke, what is scored, and how a run continues."""

import dataclasses
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest
from written import adapter, assert_same, records

import train
from duomem_jax.agents.play import Play, Recall, Talk
from duomem_jax.base.errors import UserError
from duomem_jax.evals.fidelity import measure_fidelity
from duomem_jax.mesh.config import MeshConfig
from duomem_jax.models.hf import load_config
from duomem_jax.models.load import load_pretrained
from duomem_jax.models.lora import LoraConfig
from duomem_jax.models.model import Model
from duomem_jax.models.shipped import model_folder
from duomem_jax.objectives.config import ObjectiveConfig
from duomem_jax.records.played import read_episodes
from duomem_jax.text.tokenizer import chat_tokens, load_tokenizer
from duomem_jax.train.config import OnPolicyConfig, OptimizerConfig, TrainConfig
from duomem_jax.train.on_policy import PlayedRows, draw, guidance
from duomem_jax.train.plan import plan
from duomem_jax.train.run import run
from duomem_jax.train.state.step import Frozen
from duomem_jax.worlds.games import Games
from duomem_jax.worlds.household.load import load_games

TEACHER, STUDENT = (str(model_folder(f"tiny-{who}")) for who in ("teacher", "student"))

GREEDY = Talk(max_new=40, temperature=1e-3)


def config_of(played, output):
    return TrainConfig(
        base=STUDENT,
        data="",
        output=str(output),
        teacher=TEACHER,
        objective=ObjectiveConfig("reverse_kl"),
        on_policy=OnPolicyConfig(
            Games(str(played / "games")),
            Play(slots=4, max_steps=4),
            Talk(max_new=40, temperature=1.0),
            length=512,
        ),
        lora=LoraConfig(rank=4, alpha=8.0),
        optimizer=OptimizerConfig(learning_rate=1e-2),
        mesh=MeshConfig(data=1),
        steps=4,
        global_batch=4,
        log_every=1,
        checkpoint_every=1,
    )


@pytest.fixture
def config(played, tmp_path):
    return config_of(played, tmp_path / "out")


@pytest.fixture(scope="module")
def finished(played, tmp_path_factory):
    """The config of a run that has ended."""
    config = config_of(played, tmp_path_factory.mktemp("whole") / "out")
    config = dataclasses.replace(config, steps=3)
    run(config)
    return config


def played_with(config, **changes):
    return dataclasses.replace(config, on_policy=dataclasses.replace(config.on_policy, **changes))


@pytest.fixture(scope="module")
def weights():
    """(base and teacher, adapter)."""
    shape, base = load_pretrained(STUDENT)
    lora = Model(shape, LoraConfig(rank=4, alpha=8.0)).init_lora(jax.random.key(0))
    return Frozen(base, load_pretrained(TEACHER)[1]), lora


def rows_of(config, weights, step=0):
    frozen, lora = weights
    return PlayedRows(plan(config), frozen, lora).rows(step, lora)


def replies(tokens, row):
    """Text of each run of reply tokens of a row."""
    mask = np.diff(tokens.reply_BT[row].astype(int), prepend=0, append=0)
    cuts = np.nonzero(mask)[0].reshape(-1, 2)
    decode = load_tokenizer(STUDENT).decode
    return [decode(tokens.ids_BT[row][a:b], skip_special_tokens=True) for a, b in cuts]


def test_what_the_student_wrote_carries_the_loss(config, weights):
    batch, metrics = rows_of(config, weights)
    said = [text for row in range(4) for text in replies(batch.student, row)]
    assert len(said) == metrics["turns"][0] == 16
    end = chat_tokens(load_tokenizer(STUDENT)).end_id
    ends = (batch.student.ids_BT == end) & batch.student.reply_BT
    assert ends.sum() == 16
    assert batch.student.ids_BT.shape == (4, 512)
    assert batch.as_text_BT is None


def test_depth_grows_from_the_front(config, weights):
    config = played_with(config, curriculum="forward", growth=2)
    turns = [rows_of(config, weights, step)[1]["turns"] for step in (0, 1, 2, 9)]
    assert [n / games for n, games in turns] == [1, 1, 2, 4]


def test_won_games_are_replayed_up_to_the_last_turns(config, weights, played):
    """Nothing replayed is learnt, and the student comes on at the end."""
    config = played_with(
        config,
        curriculum="backward",
        episodes=str(played / "episodes"),
        play=Play(slots=4, max_steps=30),
    )
    batch, _ = rows_of(config, weights, step=0)
    text = load_tokenizer(STUDENT).decode(batch.student.ids_BT.ravel())
    games = draw(list(load_games(played / "games")), 4, 0, 0)
    won = {e.game_id: e for e in read_episodes(played / "episodes")}
    for game in games:
        for turn in won[game.id].turns[:-1]:
            assert f"Action: {turn.action}" in text
    assert sum(len(replies(batch.student, row)) for row in range(4)) == 4
    later, _ = rows_of(config, weights, step=2)
    assert 4 < sum(len(replies(later.student, row)) for row in range(4)) <= 8


def test_the_teacher_speaks_less_and_less(config, weights):
    assert [guidance(0.5, x) for x in (0, 0.4, 0.8, 1)] == pytest.approx([0.5, 0.25, 0, 0])
    whole, _ = rows_of(played_with(config, guidance=1.0), weights, step=0)
    assert (whole.as_text_BT == whole.student.reply_BT).all()
    assert whole.as_text_BT.sum() > 50
    part, _ = rows_of(played_with(config, guidance=0.9), weights, step=2)
    share = part.as_text_BT.sum() / part.student.reply_BT.sum()
    assert 0 < share < 1
    late, _ = rows_of(played_with(config, guidance=1.0), weights, step=4)
    assert not late.as_text_BT.any()


def test_a_teacher_that_takes_every_turn_writes_what_it_writes_alone(config, weights):
    """Both players read one conversation; here the teacher takes every turn of it."""
    guided = played_with(config, guidance=1.0, talk=GREEDY)
    batch, _ = rows_of(guided, weights)
    frozen, _ = weights
    teacher_plays = dataclasses.replace(played_with(config, talk=GREEDY), base=TEACHER)
    # An adapter that was never trained changes nothing, so this student is the teacher.
    alone = Model(load_config(TEACHER), LoraConfig(rank=4, alpha=8.0)).init_lora(jax.random.key(1))
    same, _ = rows_of(teacher_plays, (Frozen(frozen.teacher, frozen.teacher), alone))
    np.testing.assert_array_equal(batch.student.ids_BT, same.student.ids_BT)


def test_memories_are_for_the_teacher_alone(config, weights, played):
    config = played_with(config, recall=Recall(str(played / "memories")), teacher_length=768)
    batch, _ = rows_of(config, weights)
    decode = load_tokenizer(STUDENT).decode
    for row in range(4):
        assert replies(batch.student, row) == replies(batch.teacher, row)
    assert (batch.teacher.segments_BT > 0).sum() > (batch.student.segments_BT > 0).sum()
    assert "1. find" in decode(batch.teacher.ids_BT.ravel())
    assert "1. find" not in decode(batch.student.ids_BT.ravel())


def test_the_system_message_of_the_experiment_is_shown(config, weights, played):
    config = played_with(
        config,
        talk=Talk("You are in a room.", max_new=40, temperature=1.0),
        recall=Recall(str(played / "memories")),
    )
    batch, _ = rows_of(config, weights)
    decode = load_tokenizer(STUDENT).decode
    for tokens in (batch.student, batch.teacher):
        filled_B = tokens.segments_BT.any(1)
        assert filled_B.any()
        assert all("You are in a room." in decode(row) for row in tokens.ids_BT[filled_B])


def test_every_game_comes_once_in_an_epoch():
    games = list(range(10))
    epoch = [g for step in range(5) for g in draw(games, 2, seed=0, step=step)]
    assert sorted(epoch) == games
    assert draw(games, 2, 0, 5) == draw(games, 2, 0, 5)
    later = [g for step in range(5, 10) for g in draw(games, 2, 0, step)]
    assert sorted(later) == games
    assert later != epoch


def test_a_run_comes_nearer_to_its_teacher_and_reports_games(finished, played):
    """On rows that neither has played: the loss of a step is about that step's own games."""
    out = Path(finished.output)
    before, after = (
        measure_fidelity(STUDENT, TEACHER, played / "rows", adapter=folder, rows=3)
        for folder in ("", str(out / "adapter"))
    )
    assert after.reverse_kl < before.reverse_kl
    assert {"won", "turns", "rows_left_out"} < records(out)[0].keys()


def test_a_run_continues_from_a_checkpoint_to_the_same_adapter(finished, tmp_path):
    """What a run that was killed after its second step leaves behind."""
    out = tmp_path / "again"
    shutil.copytree(finished.output, out)
    shutil.rmtree(out / "adapter")
    shutil.rmtree(out / "checkpoints" / "3")
    again = dataclasses.replace(finished, output=str(out))
    file = out / "config.json"
    file.write_text(file.read_text().replace(finished.output, again.output))
    run(again)
    assert_same(adapter(out), adapter(Path(finished.output)))
    before, after = records(Path(finished.output)), records(out)
    assert before[:2] == after[:2]  # with their seconds: these steps were not done again
    assert [record["step"] for record in after] == [1, 2, 3]


@pytest.mark.slow
def test_a_killed_and_restarted_run_ends_with_the_same_adapter(finished, tmp_path):
    out = tmp_path / "again"
    again = dataclasses.replace(finished, output=str(out))
    file = tmp_path / "config.py"
    names = "OnPolicyConfig, OptimizerConfig, TrainConfig"
    file.write_text(
        f"from duomem_jax.train.config import {names}\n"
        "from duomem_jax.agents import Play, Recall, Talk\n"
        "from duomem_jax.mesh.config import MeshConfig\n"
        "from duomem_jax.models.lora import LoraConfig\n"
        "from duomem_jax.objectives.config import ObjectiveConfig\n"
        "from duomem_jax.worlds.games import Games\n"
        f"def get_config():\n    return {again!r}\n"
    )
    command = [sys.executable, train.__file__, "--config", str(file)]
    process = subprocess.Popen(command, env={**os.environ, "PYTHONPATH": os.getcwd()})
    deadline = time.monotonic() + 120
    while not (out / "checkpoints" / "2").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    run(again)
    assert_same(adapter(out), adapter(Path(finished.output)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": "x"}, "leave data empty"),
        ({"teacher": ""}, "set teacher"),
        ({"objective": ObjectiveConfig()}, "other than text"),
        ({"trainable": "all"}, "set trainable to lora"),
    ],
)
def test_mistakes_are_named(config, changes, message):
    with pytest.raises(UserError, match=message):
        run(dataclasses.replace(config, **changes))
    assert not Path(config.output).exists()


def test_mistakes_in_play_are_named(config, weights):
    with pytest.raises(UserError, match=r"on_policy\.episodes"):
        rows_of(played_with(config, curriculum="backward"), weights)
    with pytest.raises(UserError, match="growth is 0"):
        OnPolicyConfig(growth=0)
