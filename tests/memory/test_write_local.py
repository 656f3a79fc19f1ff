"""Memories that a model on this machine writes."""

import json

import jax
import numpy as np
import pytest
from chats import make_episode
from made_up import store

from duomem_jax import cli
from duomem_jax.base.errors import UserError
from duomem_jax.memory.bank import MemoryBank
from duomem_jax.memory.embed import make_embedder
from duomem_jax.memory.write import Writing
from duomem_jax.models.config import ModelConfig
from duomem_jax.models.hf import fingerprint, save_pretrained
from duomem_jax.models.model import Model
from duomem_jax.speak import local
from duomem_jax.speak.open import Local
from duomem_jax.stages.memories import maintain, memories
from duomem_jax.text.tokenizer import load_tokenizer, tokenizer_fingerprint


@pytest.fixture(scope="module")
def model(tokenizers, tmp_path_factory):
    """A small random model, which writes nonsense that sometimes ends."""
    folder = tmp_path_factory.mktemp("model") / "scribe"
    folder.mkdir()
    tokenizer = tokenizers["chatml"]
    tokenizer.save_pretrained(folder)
    shape = Model(ModelConfig("qwen3", len(tokenizer), 16, 1, 2, 1, 8, 24, max_len=2048))
    rng = np.random.default_rng(0)
    base = jax.tree.map(lambda x: rng.normal(size=x.shape).astype("f"), shape.shapes()["params"])
    base["embedding"][tokenizer.convert_tokens_to_ids("<|im_end|>")] *= 2.0
    save_pretrained(folder, shape.config, base)
    return folder


@pytest.fixture(scope="module")
def episodes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("written-from")
    return store(folder, [make_episode(i, success=i % 4 != 3) for i in range(12)])


HOW = Writing(temperature=1.0, max_new=8)


def bank(folder):
    return MemoryBank.load(folder, make_embedder()).memories


def manifest(folder):
    return json.loads((folder / "manifest.json").read_text())["splits"]["train"]


def test_a_model_on_this_machine_writes_a_bank(model, episodes, tmp_path):
    sampling = ["--how.max-new", str(HOW.max_new), "--how.temperature", "1.0"]
    args = ["--episodes", str(episodes), "--writer", str(model), *sampling]
    cli.main(["memories", str(tmp_path / "m"), *args])
    memories, counts = bank(tmp_path / "m"), manifest(tmp_path / "m")["counts"]
    assert counts == {"failed": 3, "no_script": 9 - len(memories)}  # those that were cut off
    assert 0 < len(memories) < 9
    assert all(m.text == " ".join(m.text.split()) != "" for m in memories)
    assert all(m.player == "expert" for m in memories)
    writer = manifest(tmp_path / "m")["config"]["writer"]
    assert writer.pop("prompt")
    assert writer == {
        "model": fingerprint(model),
        "tokenizer": tokenizer_fingerprint(load_tokenizer(model)),
        "ends": [],
        "adapter": "",
        "max_len": 0,
        "dtype": "float32",
        "quantize": "",
        "temperature": 1.0,
        "max_new": HOW.max_new,
    }
    assert not list((tmp_path / "m").glob("served*"))


def test_a_stopped_local_writer_goes_on(model, episodes, tmp_path, monkeypatch):
    memories(str(tmp_path / "whole"), str(episodes), writer=str(model), how=HOW)
    reset, prompts = local.LocalSpeaker.reply, []

    def stops_after_four(self, chats, how):
        for number, reply in enumerate(reset(self, chats, how)):
            if number == 4:
                raise KeyboardInterrupt
            yield reply

    with monkeypatch.context() as patch:
        patch.setattr(local.LocalSpeaker, "reply", stops_after_four)
        with pytest.raises(KeyboardInterrupt):
            memories(str(tmp_path / "m"), str(episodes), writer=str(model), how=HOW)

    def counted(self, chats, how):
        return reset(self, (prompts.append(c) or c for c in chats), how)

    monkeypatch.setattr(local.LocalSpeaker, "reply", counted)
    memories(str(tmp_path / "m"), str(episodes), writer=str(model), how=HOW)
    assert len(prompts) == 9 - 4
    assert bank(tmp_path / "m") == bank(tmp_path / "whole")


def test_a_bank_belongs_to_the_contents_of_its_model(model, episodes, tmp_path):
    memories(str(tmp_path / "m"), str(episodes), writer=str(model), how=HOW)
    moved = model.with_name("moved")
    model.rename(moved)
    try:
        report = memories(str(tmp_path / "m"), str(episodes), writer=str(moved), how=HOW)
        assert report.status == "already complete"
    finally:
        moved.rename(model)
    other = Writing(temperature=1.0, max_new=HOW.max_new, local=Local(dtype="bfloat16"))
    for writer, how in (("tiny-teacher", HOW), (str(model), other)):
        with pytest.raises(UserError, match=r"was begun with config\.writer\."):
            memories(str(tmp_path / "m"), str(episodes), writer=writer, how=how)
    args = str(tmp_path / "kept"), str(tmp_path / "m"), str(episodes)
    assert maintain(*args, writer=str(model), how=HOW).records >= len(bank(tmp_path / "m"))


def test_an_episode_that_is_too_long_for_the_model_makes_no_memory(model, episodes, tmp_path):
    how = Writing(temperature=1.0, max_new=HOW.max_new, local=Local(max_len=500))
    with pytest.raises(UserError, match="no whole script of any of the 9 won episodes"):
        memories(str(tmp_path / "m"), str(episodes), writer=str(model), how=how)
