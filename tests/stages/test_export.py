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
from duomem_jax.models.hf import copy_tokenizer, fingerprint, save_pretrained
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
    text = card(notes, "mine", run / "adapter", dtype="", scores="")
    assert "| objective | cross-entropy on the teacher's replies |" in text
    notes["config"]["objective"] |= {"name": "skew_reverse_kl", "temperature": 2.0}
    for teacher, source in (("big", "teacher `big`"), ("", "targets stored with the rows")):
        notes["config"]["teacher"] = teacher
        text = card(notes, "mine", run / "adapter", dtype="", scores="")
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


def theirs(folder):
    torch = pytest.importorskip("torch")
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        return model(torch.tensor(TOKENS)).logits.numpy()


@pytest.mark.parametrize(("dtype", "share"), [("", 1e-5), ("float32", 1e-5), ("bfloat16", 0.1)])
def test_a_merged_model_opens_in_transformers(done, base_folder, tmp_path, dtype, share):
    """In the base's own float32 nothing is lost; in bfloat16 the kernels are rounded."""
    _, run = done
    folder = tmp_path / "whole"
    said = export(str(folder), str(run / "adapter"), merged=True, dtype=dtype)
    written = dtype or "float32"
    assert said == f"{folder}: model with the adapter merged, in {written}, written"
    assert f"| weights | {written}" in (folder / "README.md").read_text()
    assert json.loads((folder / "config.json").read_text())["dtype"] == written
    config, base = load_pretrained(base_folder)
    lora, lora_config = load_adapter(run / "adapter", Model(config), fingerprint(base_folder))
    want = logits(Model(config, lora_config), base, lora)
    scale = np.abs(want - logits(Model(config), base)).max()
    error = np.abs(theirs(folder) - want).max()
    assert error < share * scale
    assert (error > 1e-3 * scale) == (written == "bfloat16")


def test_a_merged_model_is_in_the_base_s_own_dtype(done, base_folder, tmp_path):
    _, run = done
    small = tmp_path / "small"
    shutil.copytree(base_folder, small)
    config, params = load_pretrained(base_folder)
    save_pretrained(small, config, params, "bfloat16", base_folder)
    adapter = tmp_path / "run/adapter"
    shutil.copytree(run / "adapter", adapter)
    notes = json.loads((adapter / "duomem.json").read_text())
    notes |= {"base": str(small), "base_fingerprint": fingerprint(small)}
    (adapter / "duomem.json").write_text(json.dumps(notes))
    assert "in bfloat16," in export(str(tmp_path / "whole"), str(adapter), merged=True)
    with pytest.raises(UserError, match="dtype is float32, and an adapter stays in float32"):
        export(str(tmp_path / "x"), str(adapter), dtype="float32")


def test_a_merged_model_keeps_what_loaders_read(done, base_folder, tmp_path):
    """Every field of the base's config but the dtype, and its other files; nothing else."""
    _, run = done
    base = tmp_path / "base"
    shutil.copytree(base_folder, base)
    extra = {"eos_token_id": [3, 5], "bos_token_id": 1, "pad_token_id": 0, "use_cache": False}
    extra |= {"max_window_layers": 1, "sliding_window": 7, "custom": {"a": [1]}}
    extra |= {"torch_dtype": "float16", "transformers_weights": "model.safetensors"}
    path = base / "config.json"
    before = json.loads(path.read_text()) | extra
    path.write_text(json.dumps(before))
    (base / "generation_config.json").write_text('{"eos_token_id": [3, 5], "top_k": 4}')
    (base / "chat_template.jinja").write_text("x")
    (base / "additional_chat_templates").mkdir()
    (base / "additional_chat_templates/tools.jinja").write_text("y")
    for junk in ("train.log", "pytorch_model.bin", "modeling.py", "old.safetensors"):
        (base / junk).write_text("junk")
    (base / "vocab.txt").mkdir()
    adapter = tmp_path / "run/adapter"
    shutil.copytree(run / "adapter", adapter)
    notes = json.loads((adapter / "duomem.json").read_text())
    notes |= {"base": str(base), "base_fingerprint": fingerprint(base)}
    (adapter / "duomem.json").write_text(json.dumps(notes))
    whole = tmp_path / "whole"
    export(str(whole), str(adapter), merged=True, dtype="bfloat16")
    del before["transformers_weights"]
    after = json.loads((whole / "config.json").read_text())
    assert after == before | {"dtype": "bfloat16", "torch_dtype": "bfloat16"}
    copied = {"generation_config.json", "chat_template.jinja", "tokenizer.json"}
    copied |= {"tokenizer_config.json", "additional_chat_templates/tools.jinja"}
    for name in copied:
        assert (whole / name).read_bytes() == (base / name).read_bytes()
    own = {"config.json", "model.safetensors", "README.md", "exported.json", "duomem.json"}
    files = {str(f.relative_to(whole)) for f in whole.rglob("*") if f.is_file()}
    assert files == copied | own


def test_links_out_of_a_folder_are_not_followed(base_folder, tmp_path):
    base, out = tmp_path / "base", tmp_path / "out"
    shutil.copytree(base_folder, base)
    (tmp_path / "secret").write_text("secret")
    (base / "LICENSE").symlink_to(tmp_path / "secret")
    with pytest.raises(UserError, match="LICENSE: is a link out of its folder"):
        copy_tokenizer(base, out)
    (base / "LICENSE").unlink()
    # The hub's cache keeps each file beside its folders, and links to it.
    blobs = tmp_path / "models--a--b/blobs"
    blobs.mkdir(parents=True)
    shutil.move(base / "tokenizer.json", blobs / "abc")
    (base / "tokenizer.json").symlink_to(blobs / "abc")
    copy_tokenizer(base, out)
    assert (out / "tokenizer.json").read_bytes() == (blobs / "abc").read_bytes()
    assert not (out / "tokenizer.json").is_symlink()


def test_a_finished_export_is_reused_and_another_one_refused(done, base_folder, tmp_path):
    _, run = done
    out, adapter = tmp_path / "mine", run / "adapter"
    assert export(str(out), str(adapter)) == f"{out}: adapter written"
    files = {f.name: (f.stat().st_mtime_ns, f.read_bytes()) for f in out.iterdir()}
    assert export(str(out), str(adapter)) == f"{out}: already there, reused"
    other_spelling = str(base_folder / ".." / base_folder.name)
    assert export(str(out), str(adapter), base=other_spelling) == f"{out}: already there, reused"
    with pytest.raises(UserError, match="mine was begun with dtype=''"):
        export(str(out), str(adapter), merged=True)
    other = tmp_path / "other/adapter"
    shutil.copytree(adapter, other)
    config = json.loads((other / "adapter_config.json").read_text())
    (other / "adapter_config.json").write_text(json.dumps(config | {"lora_alpha": 3.0}))
    with pytest.raises(UserError, match="mine was begun with adapter="):
        export(str(out), str(other))
    assert {f.name: (f.stat().st_mtime_ns, f.read_bytes()) for f in out.iterdir()} == files


def test_a_folder_of_something_else_is_refused(done, tmp_path):
    _, run = done
    (tmp_path / "thesis.txt").write_text("precious")
    for out in (tmp_path, tmp_path / "thesis.txt", run, run / "adapter"):
        with pytest.raises(UserError, match="nothing is replaced"):
            export(str(out), str(run / "adapter"))
    assert (tmp_path / "thesis.txt").read_text() == "precious"


def test_another_base_is_refused(done, tmp_path):
    _, run = done
    with pytest.raises(UserError, match="tiny-student: is not the base of"):
        export(str(tmp_path / "x"), str(run / "adapter"), base="tiny-student")


def test_a_downloaded_base_is_named_as_on_the_hub(done, base_folder, tmp_path):
    """Whoever gets the adapter has no such folder; PEFT opens the base by this name."""
    _, run = done
    cached = tmp_path / "hub/models--some--model/snapshots/abc"
    shutil.copytree(base_folder, cached)
    adapter = tmp_path / "run/adapter"
    shutil.copytree(run / "adapter", adapter)
    export(str(tmp_path / "mine"), str(adapter), base=str(cached))
    config = json.loads((tmp_path / "mine/adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "some/model"
    assert "base_model: some/model\n" in (tmp_path / "mine/README.md").read_text()
    load_adapter(tmp_path / "mine", Model(load_pretrained(cached)[0]), fingerprint(cached))
    said = export(str(tmp_path / "whole"), str(adapter), base=str(cached), merged=True)
    assert "merged, in float32," in said


def test_a_folder_that_is_not_a_run_is_refused(tmp_path):
    with pytest.raises(UserError, match=r"duomem\.json: no such file"):
        export(str(tmp_path / "out"), str(tmp_path))
    (tmp_path / "duomem.json").write_text('{"base": "b"}')
    with pytest.raises(UserError, match=r"duomem\.json: field 'base_fingerprint' is missing"):
        export(str(tmp_path / "out"), str(tmp_path))
    assert not (tmp_path / "out").exists()
