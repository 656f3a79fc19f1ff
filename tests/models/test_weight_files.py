"""Which files of a folder are read, and heads that are tied or not, against transformers."""

import json
import logging

import jax.numpy as jnp
import numpy as np
import pytest
from families import make_model
from safetensors.numpy import load_file, save_file

from duomem_jax.base.errors import UserError
from duomem_jax.models.hf import fingerprint
from duomem_jax.models.load import load_pretrained
from duomem_jax.models.model import Model

TOKENS = np.arange(24)[None] * 5 % 61
WHOLE, INDEX = "model.safetensors", "model.safetensors.index.json"
HEAD, TABLE = "lm_head.weight", "model.embed_tokens.weight"


@pytest.fixture(scope="module", params=["qwen3-untied"])
def made(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    make_model(request.param, folder, std=0.1)
    return folder


@pytest.fixture
def folder(made, tmp_path):
    for file in made.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


def theirs(folder):
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, attn_implementation="eager").eval()
    with torch.no_grad():
        return model(torch.tensor(TOKENS)).logits.numpy()


def ours(folder):
    config, params = load_pretrained(folder)
    model = Model(config)
    x = model.hidden(params, TOKENS, jnp.arange(24)[None], np.ones_like(TOKENS))
    return np.asarray(model.head(params)(x))


def shard(folder, n, scale=1.0):
    """The weights times `scale` in n files; the index that names them."""
    tensors, places = load_file(folder / WHOLE), {}
    for i in range(n):
        file = f"model-{i + 1:05d}-of-{n:05d}.safetensors"
        part = {name: scale * tensors[name] for name in sorted(tensors)[i::n]}
        save_file(part, folder / file, metadata={"format": "pt"})
        places |= dict.fromkeys(part, file)
    return {"metadata": {}, "weight_map": places}


def sharded(folder, edit=lambda index: index):
    """A folder of two files and an index."""
    index = shard(folder, 2)
    (folder / WHOLE).unlink()
    (folder / INDEX).write_text(json.dumps(edit(index)))


def test_shards_of_another_download_beside_are_not_read(folder):
    want = ours(folder)
    shard(folder, 3, scale=3.0)
    sharded(folder)
    np.testing.assert_array_equal(ours(folder), want)
    np.testing.assert_allclose(theirs(folder), want, atol=1e-5)


def test_a_whole_file_comes_before_an_index_as_in_transformers(folder, caplog):
    want, before = ours(folder), fingerprint(folder)
    (folder / INDEX).write_text(json.dumps(shard(folder, 2, scale=3.0)))
    save_file({"x": np.zeros(3)}, folder / "zz_ema.safetensors")
    with caplog.at_level(logging.INFO, "duomem_jax"):
        np.testing.assert_array_equal(ours(folder), want)
    np.testing.assert_allclose(theirs(folder), want, atol=1e-5)
    assert "model-00001-of-00002.safetensors not read" in caplog.text
    assert fingerprint(folder) == before  # what is not read makes no other model


def test_the_fingerprint_covers_what_the_index_names(folder):
    sharded(folder)
    before = fingerprint(folder)
    (folder / "old.safetensors").write_bytes(b"junk")
    assert fingerprint(folder) == before
    file = folder / "model-00002-of-00002.safetensors"
    save_file({name: x + 1 for name, x in load_file(file).items()}, file)
    assert fingerprint(folder) != before


def renamed(name):
    """The second file under another name."""
    return lambda index: (
        index
        | {
            "weight_map": {
                tensor: name if "00002-of" in file else file
                for tensor, file in index["weight_map"].items()
            }
        }
    )


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        (lambda index: [index], "holds a JSON list"),
        (lambda index: {}, "field weight_map names no files"),
        (lambda index: {"weight_map": {}}, "field weight_map names no files"),
        (lambda index: {"weight_map": [1]}, "field weight_map names no files"),
        (renamed(3), "weight_map.* is 3, not the name of a .safetensors file"),
        (renamed("model.bin"), "is 'model.bin', not the name of a .safetensors file"),
        (renamed("../model.safetensors"), r"is '../model\.safetensors', not the name"),
        (renamed("/tmp/model.safetensors"), "is '/tmp/model.safetensors', not the name"),
        (renamed("none.safetensors"), "names none.safetensors, which is not there"),
    ],
)
def test_an_index_that_names_no_files_of_the_folder_is_refused(folder, edit, named):
    sharded(folder, edit)
    for read in (load_pretrained, fingerprint):
        with pytest.raises(UserError, match=rf"model\.safetensors\.index\.json: .*{named}"):
            read(folder)


def test_an_index_that_is_no_json_is_refused(folder):
    sharded(folder)
    (folder / INDEX).write_text("{")
    with pytest.raises(UserError, match=r"model\.safetensors\.index\.json: not valid JSON"):
        load_pretrained(folder)


@pytest.mark.parametrize("indexed", [True, False])
def test_a_tensor_in_two_files_is_refused(folder, indexed):
    sharded(folder)
    first, second = (folder / f"model-0000{i}-of-00002.safetensors" for i in (1, 2))
    name = next(iter(load_file(first)))
    save_file(load_file(second) | {name: load_file(first)[name] + 1}, second)
    if not indexed:
        (folder / INDEX).unlink()
    with pytest.raises(UserError, match=f"tensor {name} is in .*00001-of.* and in .*00002-of"):
        load_pretrained(folder)


def edit_config(folder, **fields):
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def test_a_head_that_is_stored_although_tied_must_be_the_table(folder):
    edit_config(folder, tie_word_embeddings=True)
    tensors = load_file(folder / WHOLE)
    for other in (tensors[HEAD], tensors[HEAD][:-1]):
        save_file(tensors | {HEAD: other.copy()}, folder / WHOLE, metadata={"format": "pt"})
        with pytest.raises(UserError, match=r"lm_head\.weight is not .*tie_word_embeddings"):
            load_pretrained(folder)
    save_file(tensors | {HEAD: tensors[TABLE]}, folder / WHOLE, metadata={"format": "pt"})
    np.testing.assert_allclose(ours(folder), theirs(folder), atol=1e-5)


def test_an_untied_head_that_is_not_stored_is_refused(folder):
    tensors = load_file(folder / WHOLE)
    del tensors[HEAD]
    save_file(tensors, folder / WHOLE, metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"lm_head\.weight is missing, and tie_word_embeddings"):
        load_pretrained(folder)
    edit_config(folder, tie_word_embeddings=True)
    np.testing.assert_allclose(ours(folder), theirs(folder), atol=1e-5)


@pytest.mark.parametrize("kind", ["int8", "float8"])
def test_weights_in_eight_bits_are_refused(folder, kind):
    torch = pytest.importorskip("torch")
    from safetensors.torch import save_file as save

    dtype = torch.int8 if kind == "int8" else torch.float8_e4m3fn
    tensors = {name: torch.tensor(x).to(dtype) for name, x in load_file(folder / WHOLE).items()}
    save(tensors, folder / WHOLE)
    with pytest.raises(UserError, match=r"holds (I8|F8_E4M3); supported: F64, F32, F16, BF16"):
        load_pretrained(folder)


def test_a_folder_in_a_weight_file_s_place_is_refused(folder):
    (folder / WHOLE).unlink()
    (folder / WHOLE).mkdir()
    with pytest.raises(UserError, match=r"model\.safetensors: "):
        load_pretrained(folder)
