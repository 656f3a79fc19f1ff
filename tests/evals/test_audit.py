"""The whole audit through its command: shipped models, made-up adapters, the expert's episodes."""

import json
import shutil

import jax
import numpy as np
import pytest

from duomem_jax import cli, stages
from duomem_jax.agents.player import Player
from duomem_jax.base.log import read_log
from duomem_jax.base.rowlog import read_rows
from duomem_jax.evals.audit import cells
from duomem_jax.evals.audit.memorization import Score, score_windows
from duomem_jax.evals.audit.windows import HELD_OUT, TRAIN, cut_windows, sort_out
from duomem_jax.lora.peft import load_adapter, save_adapter
from duomem_jax.models.hf import fingerprint
from duomem_jax.models.load import load_pretrained
from duomem_jax.models.lora import LoraConfig
from duomem_jax.models.model import Model
from duomem_jax.models.shipped import model_folder
from duomem_jax.records.played import read_episodes
from duomem_jax.text.tokenizer import load_tokenizer
from duomem_jax.worlds.games import Games
from duomem_jax.worlds.household.world import Household

STUDENT, P, S = model_folder("tiny-student"), 40, 20
LORA = LoraConfig(rank=2, alpha=4.0, targets=("q_proj", "down_proj"))


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Episodes of two sets of games, and two adapters that hardly change the base."""
    root = tmp_path_factory.mktemp("audit")
    for name, seed in (("train", 1), ("held-out", 2)):
        stages.generate(str(root / f"{name}-games"), 5, seed)
        games = Games(str(root / f"{name}-games"))
        stages.play(str(root / name), games, Player("expert", "expert"))
    config, _ = load_pretrained(STUDENT)
    shapes = Model(config, LORA).shapes()["lora"]
    for seed in range(2):
        rng = np.random.default_rng(seed)
        lora = jax.tree.map(lambda x, r=rng: (0.1 * r.normal(size=x.shape)).astype("f"), shapes)
        save_adapter(root / f"a{seed}", lora, LORA, fingerprint(STUDENT), base_name="tiny")
    return root


def command(root, out, **changes):
    options = {
        "student": "tiny-student",
        "teacher": "tiny-teacher",
        "adapters": [f"text={root / 'a0'}", f"text={root / 'a1'}", f"logit={root / 'a1'}"],
        "train": root / "train",
        "held-out": root / "held-out",
        "prefix": P,
        "suffix": S,
        "batch": 8,
    }
    args = ["audit", str(out)]
    for name, value in (options | changes).items():
        args += [f"--{name}", *map(str, value if isinstance(value, list) else [value])]
    cli.main(args)


def refused(capsys, root, out, **changes):
    with pytest.raises(SystemExit) as stop:
        command(root, out, **changes)
    assert stop.value.code == 2
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1, lines
    return lines[0]


@pytest.fixture(scope="module")
def done(root):
    command(root, root / "out")
    return root / "out"


def content(out):
    return {file.name: read_log(file) for file in (out / "windows").iterdir()}


def test_audit_scores_every_window_with_every_model(root, done):
    tokenizer = load_tokenizer(STUDENT)
    train, held_out = (
        list(cut_windows(read_episodes(root / n), tokenizer, prefix=P, suffix=S))
        for n in ("train", "held-out")
    )
    sets = sort_out(train, held_out)
    models = ("base.0", "text.0", "text.1", "logit.0", "teacher.0")
    for model in models:
        for name in (TRAIN, HELD_OUT):
            rows = read_rows(done / "windows" / f"{model}.{name}.sqlite", Score)
            windows = [(w.game_id, w.seed, w.start) for w in sets[name]]
            assert [(r.game_id, r.seed, r.start) for r in rows] == windows
    config, base = load_pretrained(STUDENT)
    lora, _ = load_adapter(root / "a1", Model(config), fingerprint(STUDENT))
    expected = score_windows(Model(config, LORA), base, lora, sets[TRAIN][:8], 8)
    found = {m: read_rows(done / f"windows/{m}.train.sqlite", Score)[:8] for m in models}
    assert found["text.1"] == found["logit.0"] == expected
    assert len({tuple(s.nats for s in found[m]) for m in models}) == 4


def test_write_audit_has_every_table(done):
    text = (done / "report.md").read_text()
    for heading in ("What each model", "minus held-out", "Inherited", "Students", "How to read"):
        assert f"## {heading}" in text or heading in text
    for row in ("| base ", "| text - base ", "| logit - text ", "| teacher ", "teacher-only"):
        assert row in text
    assert " + " in text  # two seeds of one name
    report = json.loads((done / "report.json").read_text())
    by = {(r["model"], r["set"]): r for r in report["extraction"]}
    assert by["text", "train"]["seeds"] == 2
    assert len(by["text", "train"]["extractable"]) == 2
    assert {r["student"] for r in report["inheritance"]} == {"text", "logit"}
    assert (done / "reproduced.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    about = json.loads((done / "audit.json").read_text())
    assert [s["name"] for s in about["subjects"]] == ["base", "text", "text", "logit", "teacher"]
    assert about["how"]["prefix"] == P
    config, _ = read_log(done / "windows/text.1.train.sqlite")
    assert config["model"] == fingerprint(STUDENT)
    assert config["adapter"]


def test_a_killed_audit_resumes_to_the_same_rows(root, done, tmp_path, monkeypatch):
    calls = []

    def stops(*args):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return score_windows(*args)

    out = tmp_path / "out"
    monkeypatch.setattr(cells, "score_windows", stops)
    with pytest.raises(SystemExit):
        command(root, out)
    assert not (out / "report.md").exists()
    command(root, out)
    assert content(out) == content(done)
    assert (out / "report.md").read_text() == (done / "report.md").read_text()
    calls.clear()
    command(root, out)
    assert not calls


def test_audit_without_a_teacher(root, tmp_path):
    command(root, tmp_path, adapters=[f"text={root / 'a0'}"], teacher="", limit=4)
    text = (tmp_path / "report.md").read_text()
    assert "Inherited" not in text
    assert "Students, paired" not in text
    rows = read_rows(tmp_path / "windows/text.0.train.sqlite", Score)
    assert len(rows) == 4


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"prefix": 0}, "prefix is 0"),
        ({"batch": 0}, "batch is 0"),
        ({"limit": -1}, "limit is -1"),
        ({"prefix": 900}, "lower --prefix or --suffix"),
        ({"prefix": 90_000}, "was made for"),
        ({"held-out": "nowhere"}, "nowhere"),
        ({"teacher": "no-such-model"}, "no-such-model"),
        ({"adapters": ["nameless"]}, "give name=folder"),
        ({"adapters": ["teacher=x"]}, "adapter name 'teacher'"),
        ({"adapters": ["../x=y"]}, "adapter name '../x'"),
        ({"adapters": ["text=nowhere"]}, "adapter_config.json"),
    ],
)
def test_audit_mistakes_are_one_sentence_and_write_nothing(root, tmp_path, capsys, changes, says):
    assert says in refused(capsys, root, tmp_path / "out", **changes)
    assert not (tmp_path / "out").exists()


def test_audit_refuses_training_games_as_held_out(root, tmp_path, capsys):
    sentence = refused(capsys, root, tmp_path / "out", **{"held-out": root / "train"})
    assert "so it is not held out" in sentence


def test_audit_refuses_a_teacher_with_another_tokenizer(root, tmp_path, capsys):
    shutil.copytree(model_folder("tiny-teacher"), tmp_path / "other")
    file = tmp_path / "other/tokenizer.json"
    tokenizer = json.loads(file.read_text())
    vocab = tokenizer["model"]["vocab"]
    a, b = list(vocab)[-2:]
    vocab[a], vocab[b] = vocab[b], vocab[a]
    file.write_text(json.dumps(tokenizer))
    sentence = refused(capsys, root, tmp_path / "out", teacher=tmp_path / "other")
    assert "windows are made of token ids" in sentence


def test_audit_tells_the_students_what_their_training_told_them(root, tmp_path):
    command(root, tmp_path / "out", adapters=[f"text={root / 'a0'}"], system="@play", limit=2)
    about = json.loads((tmp_path / "out/audit.json").read_text())
    assert about["how"]["system"] == Household.prompt


def test_audit_refuses_an_adapter_of_another_base(root, tmp_path, capsys):
    config, _ = load_pretrained(STUDENT)
    lora = jax.tree.map(lambda x: np.zeros(x.shape, "f"), Model(config, LORA).shapes()["lora"])
    save_adapter(tmp_path / "a", lora, LORA, "0" * 64, base_name="other")
    sentence = refused(capsys, root, tmp_path / "out", adapters=[f"x={tmp_path / 'a'}"])
    assert "base_fingerprint" in sentence


def test_audit_refuses_the_folder_of_another_audit(root, done, capsys):
    sentence = refused(capsys, root, done, suffix=S + 1)
    assert "another configuration (different: suffix, windows)" in sentence
    swapped = [f"text={root / 'a1'}", f"text={root / 'a0'}", f"logit={root / 'a1'}"]
    sentence = refused(capsys, root, done, adapters=swapped)
    assert "different: adapter" in sentence
