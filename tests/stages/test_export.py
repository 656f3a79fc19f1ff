"""What `duomem export` writes, opened by the libraries it is written for."""

import json
import shutil

import jax.numpy as jnp
import numpy as np
import pytest
from safetensors.numpy import load_file
from tiny_run import STEPS

from duomem_jax import cli
from duomem_jax.base.errors import UserError
from duomem_jax.lora.peft import load_adapter
from duomem_jax.models.hf import fingerprint
from duomem_jax.models.load import load_pretrained
from duomem_jax.models.model import Model
from duomem_jax.stages.export import card, export

TOKENS = np.arange(24)[None] * 5 % 64


def logits(model, base, lora=None):
    x = model.hidden(base, TOKENS, jnp.arange(24)[None], np.ones_like(TOKENS), lora)
    return np.asarray(model.head(base)(x))


def test_an_adapter_with_its_card(done, base_folder, tmp_path):
    _, run = done
    cli.main(["export", str(tmp_path / "mine"), "--adapter", str(run / "adapter")])
    names = {path.name for path in (tmp_path / "mine").iterdir()}
    assert {"README.md", "adapter_config.json", "adapter_model.safetensors"} <= names
    first, again = (
        load_file(f / "adapter_model.safetensors") for f in (run / "adapter", tmp_path / "mine")
    )
    assert all(np.array_equal(first[name], again[name]) for name in first)
    text = (tmp_path / "mine/README.md").read_text()
    for fact in (
        str(base_folder),
        "rank 2, alpha 4",
        f"{STEPS} steps of 8 rows",
        f"at step {STEPS}",
        "command",
    ):
        assert fact in text


def test_the_card_names_the_objective_of_the_run(done):
    _, run = done
    notes = json.loads((run / "adapter/duomem.json").read_text())
    text = card(notes, "mine", run / "adapter", merged=False, results="")
    assert "| objective | cross-entropy on the teacher's replies |" in text
    notes["config"]["objective"] |= {"name": "skew_reverse_kl", "temperature": 2.0}
    for teacher, source in (("big", "teacher `big`"), ("", "targets stored with the rows")):
        notes["config"]["teacher"] = teacher
        text = card(notes, "mine", run / "adapter", merged=False, results="")
        assert f"| objective | skew_reverse_kl, {source}, temperature 2 |" in text


def test_the_card_describes_the_rows_as_they_were(done, tmp_path):
    """Other rows, or none, may lie in the folder when an adapter is exported."""
    _, run = done
    shutil.copytree(run, tmp_path / "run")
    notes = tmp_path / "run/adapter/duomem.json"
    found = json.loads(notes.read_text())
    found["rows"]["folder"] = str(tmp_path / "gone")
    notes.write_text(json.dumps(found))
    export(str(tmp_path / "mine"), str(notes.parent))
    text = (tmp_path / "mine/README.md").read_text()
    count, content = found["rows"]["examples"], found["rows"]["content"][:16]
    assert f"| data | `{tmp_path / 'gone'}`, {count} examples, content {content} |" in text


def test_a_merged_model_opens_in_transformers(done, base_folder, tmp_path):
    torch = pytest.importorskip("torch")
    from transformers import AutoModelForCausalLM

    _, run = done
    folder = export(str(tmp_path / "whole"), str(run / "adapter"), merged=True)
    config, base = load_pretrained(base_folder)
    lora, lora_config = load_adapter(run / "adapter", Model(config), fingerprint(base_folder))
    want = logits(Model(config, lora_config), base, lora)
    theirs = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        got = theirs(torch.tensor(TOKENS)).logits.numpy()
    scale = np.abs(want - logits(Model(config), base)).max()
    assert np.abs(got - want).max() < 0.1 * scale  # the kernels were rounded to bfloat16


def test_a_folder_that_is_not_a_run_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"duomem\.json: no such file"):
        export(str(tmp_path / "out"), str(tmp_path))
    (tmp_path / "duomem.json").write_text('{"base": "b"}')
    with pytest.raises(UserError, match=r"duomem\.json: field 'config' is missing"):
        export(str(tmp_path / "out"), str(tmp_path))
    assert not (tmp_path / "out").exists()
