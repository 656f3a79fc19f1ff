"""An expert that learns from pictures, whose tower never runs meanwhile."""

import json
import shutil

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file
from seeing import letters_tokenizer, make_seeing
from written import records

import train
from duomem_jax import stages
from duomem_jax.models.vision.model import VisionModel
from duomem_jax.records import chat
from duomem_jax.speak.open import Local, load_speaker
from duomem_jax.speak.protocol import Sampling
from duomem_jax.stages.examples import Examples
from duomem_jax.stages.pictures import Pictures

COLOURS = {"red": (250, 10, 10), "green": (10, 240, 20), "blue": (0, 20, 250)}
STEPS = 60
CONFIG = """
from duomem_jax.mesh.config import MeshConfig
from duomem_jax.models.lora import LoraConfig
from duomem_jax.train.config import OptimizerConfig, TrainConfig


def get_config():
    return TrainConfig(
        base={root!r} + "/model",
        data={root!r} + "/rows",
        pictures={root!r} + "/pictures",
        output={root!r} + "/out",
        lora=LoraConfig(rank=4, alpha=8.0),
        optimizer=OptimizerConfig(learning_rate=2e-2, warmup_steps=2),
        mesh=MeshConfig(data=4),
        steps={steps},
        global_batch=4,
        checkpoint_every=20,
        log_every=20,
    )
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """`model`, `chats`, `pictures`, `rows`, `config.py` and a finished run `out`."""
    root = tmp_path_factory.mktemp("made")
    model = str(make_seeing("smolvlm", root / "model").folder)
    letters_tokenizer("smolvlm").save_pretrained(model)
    lines = []
    for i in range(12):
        name = list(COLOURS)[i % 3]
        Image.new("RGB", (30, 20), COLOURS[name]).save(root / f"{name}.png")
        shown = [{"type": "image", "path": f"{name}.png"}, {"type": "text", "text": "Which?"}]
        said = [{"role": "user", "content": shown}, {"role": "assistant", "content": name}]
        lines.append(json.dumps({"messages": said}))
    (root / "chats.jsonl").write_text("\n".join(lines))
    chats = (str(root / "chats"),)
    stages.import_(chats[0], str(root / "chats.jsonl"), "chats")
    stages.pictures(str(root / "pictures"), chats, model, Pictures(tiles="one"))
    shown = {"pictures": str(root / "pictures"), "how": Examples(length=128)}
    stages.examples(str(root / "rows"), model, demonstrations=chats, **shown)
    (root / "config.py").write_text(CONFIG.format(root=str(root), steps=STEPS))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(VisionModel, "features", None)  # whoever calls it fails
        assert run(root, "--validation", root / "rows") == 0
    return root


def run(root, *overrides):
    return train.main(["--config", str(root / "config.py"), *map(str, overrides)])


def adapter(out):
    return load_file(out / "adapter" / "adapter_model.safetensors")


def test_the_expert_tells_pictures_apart(made):
    losses = [(r["loss"], r.get("validation_loss", 0)) for r in records(made / "out")]
    assert losses[-1][1] < 0.1 < losses[0][0]
    asked = [
        [chat.user([chat.picture(str(made / f"{name}.png")), chat.text("Which?")])]
        for name in COLOURS
    ]
    held = Local(str(made / "out" / "adapter"), max_len=256, tiles="one")
    expert = load_speaker(str(made / "model"), held)
    assert [r.text for r in expert.reply(asked, Sampling(8))] == list(COLOURS)


def test_a_run_that_goes_on_ends_with_the_same_adapter(made, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(made / "out", out)
    shutil.rmtree(out / "adapter")
    shutil.rmtree(out / "checkpoints" / str(STEPS))
    whole = adapter(made / "out")
    assert run(made, "--validation", made / "rows", "--output", out) == 0
    again = adapter(out)
    for name, x in whole.items():
        np.testing.assert_array_equal(again[name], x)


@pytest.mark.slow
def test_one_device_and_four_learn_the_same(made, tmp_path):
    assert run(made, "--mesh.data", 1, "--output", tmp_path / "one") == 0
    four, one = records(made / "out")[0], records(tmp_path / "one")[0]
    assert one["loss_tokens"] == four["loss_tokens"]
    # The mean of the first steps, in which what adding in another order changes has not grown yet.
    assert one["loss"] == pytest.approx(four["loss"], rel=1e-3)


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (["--pictures", ""], "show pictures; give what `duomem pictures` wrote"),
        (["--objective.name", "forward_kl"], "a teacher is not shown pictures"),
        (["--trainable", "all"], "pictures are for an expert; set trainable to lora"),
        (["--pictures", "others"], "are not the pictures that the rows of"),
        (["--base", "another"], "pack the rows with the tokenizer|were seen by the model"),
    ],
)
def test_what_does_not_go_with_pictures_is_one_sentence(
    made, tmp_path, capsys, overrides, sentence
):
    if "others" in overrides:
        overrides = ["--pictures", tmp_path / "others"]
        chats = (str(made / "chats"),)
        stages.pictures(str(overrides[1]), chats, str(made / "model"), Pictures(tiles="several"))
    if "another" in overrides:
        overrides = ["--base", tmp_path / "another"]
        shutil.copytree(made / "model", overrides[1])
        config = json.loads((overrides[1] / "config.json").read_text())
        (overrides[1] / "config.json").write_text(json.dumps(config | {"name": "another"}))
    capsys.readouterr()
    assert run(made, *overrides, "--output", tmp_path / "out") == 2
    said = capsys.readouterr().err
    assert any(part in said for part in sentence.split("|"))
    assert not (tmp_path / "out").exists()
