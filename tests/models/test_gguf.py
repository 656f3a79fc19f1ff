"""GGUF files: unpacked, they are the models that they were made from."""

import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from families import make_model
from safetensors.numpy import load_file

from duomem_jax.base.errors import UserError
from duomem_jax.models.gguf import unpack
from duomem_jax.models.hf import load_config
from duomem_jax.models.locate import model_name, model_path
from duomem_jax.models.packaged import PACKAGES
from duomem_jax.models.weight_files import weight_files
from duomem_jax.text.template import PLAIN
from duomem_jax.text.tokenizer import load_tokenizer

gguf = pytest.importorskip("gguf")

LLAMA3 = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}
# What a file of each architecture cannot say otherwise, and one of each thing that it can.
MODELS = {
    "llama": ("llama", {"rope_theta": 5e5, "rope_scaling": LLAMA3}),
    "llama-tied": ("llama", {}),
    "qwen2": ("qwen2", {"num_hidden_layers": 2}),
    "qwen3-untied": ("qwen3", {}),
    "gemma2": ("gemma2", {"query_pre_attn_scalar": 16}),
    "gemma3_text": ("gemma3", {"query_pre_attn_scalar": 16}),
}
TEMPLATE = "{% for m in messages %}<s>{{ m.role }} {{ m.content }}</s>{% endfor %}"


def rows_of_pairs(x, heads):
    """Rows of q or k as llama.cpp's converter stores them for the llama architecture."""
    return x.reshape(heads, 2, -1, *x.shape[1:]).swapaxes(1, 2).reshape(x.shape)


def write_gguf(path, arch, model, **more):
    """A file as llama.cpp's converter writes it, of a torch model in bfloat16."""
    hf = model.config
    writer = gguf.GGUFWriter(path, arch)
    writer.add_context_length(hf.max_position_embeddings)
    writer.add_embedding_length(hf.hidden_size)
    writer.add_block_count(hf.num_hidden_layers)
    writer.add_feed_forward_length(hf.intermediate_size)
    writer.add_head_count(hf.num_attention_heads)
    writer.add_head_count_kv(hf.num_key_value_heads)
    writer.add_layer_norm_rms_eps(hf.rms_norm_eps)
    if getattr(hf, "head_dim", None):
        writer.add_key_length(hf.head_dim)
        writer.add_value_length(hf.head_dim)
    rope = hf.rope_parameters
    full = rope.get("full_attention", rope)
    writer.add_rope_freq_base(full["rope_theta"])
    if full["rope_type"] == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(full["factor"])
    if arch.startswith("gemma"):
        writer.add_sliding_window(hf.sliding_window)
        for add, cap in (
            (writer.add_attn_logit_softcapping, hf.attn_logit_softcapping),
            (writer.add_final_logit_softcapping, hf.final_logit_softcapping),
        ):
            if cap:
                add(cap)
    if arch == "gemma3":
        writer.add_array("gemma3.attention.sliding_window_pattern", slides(hf))
    for key, value in more.items():
        writer.add_key_value(f"{arch}.{key}", value, gguf.GGUFValueType.UINT32)
    add_tokenizer(writer, hf.vocab_size)
    add_tensors(writer, arch, model)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def slides(hf):
    return [kind == "sliding_attention" for kind in hf.layer_types]


def add_tensors(writer, arch, model):
    hf = model.config
    kinds = {name: key for key, name in gguf.MODEL_ARCH_NAMES.items()}
    names = gguf.get_tensor_name_map(kinds[arch], hf.num_hidden_layers)
    tied = hf.tie_word_embeddings
    for name, tensor in model.state_dict().items():
        if tied and name == "lm_head.weight":
            continue
        x = tensor.float().numpy()
        stem, _, kind = name.rpartition(".")
        if arch == "llama" and stem.endswith(("q_proj", "k_proj")):
            heads = hf.num_attention_heads if "q_proj" in stem else hf.num_key_value_heads
            x = rows_of_pairs(x, heads)
        if arch.startswith("gemma") and stem.endswith("norm"):
            x = x + 1
        writer.add_tensor(f"{names.get_name(stem)}.{kind}", np.ascontiguousarray(x))
    if hf.rope_parameters.get("rope_type") == "llama3":
        from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

        scaled, _ = ROPE_INIT_FUNCTIONS["llama3"](hf, "cpu")
        dim = hf.hidden_size // hf.num_attention_heads
        plain = hf.rope_parameters["rope_theta"] ** -(np.arange(0, dim, 2) / dim)
        factors = (plain / scaled.numpy()).astype(np.float32)
        writer.add_tensor("rope_freqs.weight", factors)


def add_tokenizer(writer, size):
    """Bytes, one merge, and two tokens of control."""
    from transformers.convert_slow_tokenizer import bytes_to_unicode

    letters = [bytes_to_unicode()[i] for i in range(32, 32 + size - 3)]
    tokens = [*letters, "th", "<s>", "</s>"]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types([1] * (size - 2) + [3, 3])
    writer.add_token_merges(["t h"])
    writer.add_bos_token_id(size - 2)
    writer.add_eos_token_id(size - 1)
    writer.add_chat_template(TEMPLATE)


def bfloat16_model(name, folder, **fields):
    """A random model whose weights bfloat16 holds exactly, also with 1 added to norms."""
    import torch

    model = make_model(name, folder, std=0.2, **fields)
    for parameter, p in model.named_parameters():
        p.data = p.data.to(torch.bfloat16).float()
        if "norm" in parameter:
            p.data = (p.data * 64).round() / 64
    return model


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_ASSETS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def llama(tmp_path_factory):
    folder = tmp_path_factory.mktemp("llama")
    model = bfloat16_model("llama-tied", folder)
    return write_gguf(folder / "tiny.gguf", "llama", model), model


@pytest.mark.parametrize("name", MODELS)
def test_a_file_is_unpacked_into_the_model_that_it_was_made_from(tmp_path, name):
    arch, fields = MODELS[name]
    model = bfloat16_model(name, tmp_path / "hf", **fields)
    folder = model_path(str(write_gguf(tmp_path / "tiny.gguf", arch, model)))
    assert Path(folder).name == "tiny"
    assert_same_tensors(folder, model)
    # Numbers of the metadata are float32.
    theirs = load_config(tmp_path / "hf")
    ours = load_config(folder)
    assert ours.norm_eps == pytest.approx(theirs.norm_eps)
    assert {**vars(ours), "norm_eps": 0} == {**vars(theirs), "norm_eps": 0}


def assert_same_tensors(folder, model):
    ours = {name: x for file in weight_files(folder) for name, x in load_file(file).items()}
    theirs = model.state_dict()
    if model.config.tie_word_embeddings:
        theirs.pop("lm_head.weight", None)
    assert ours.keys() == theirs.keys()
    for name, x in ours.items():
        np.testing.assert_array_equal(x.astype(np.float32), theirs[name].float().numpy(), name)


def test_tokenizer_and_template_come_with_the_file(llama):
    tokenizer = load_tokenizer(model_path(str(llama[0])))
    ids = tokenizer("the <s>", add_special_tokens=False)["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids) == ["th", "e", "\u0120", "<s>"]
    assert tokenizer.chat_template == TEMPLATE
    assert tokenizer.eos_token == "</s>"


def test_a_file_is_unpacked_once_whatever_its_name(llama, tmp_path, caplog):
    path, _ = llama
    with caplog.at_level("INFO"):
        first = model_path(str(path))
        assert model_path(str(path)) == first
    assert caplog.text.count("unpacked into") == 1
    weights = weight_files(first)[0].stat().st_mtime_ns
    (tmp_path / "copy").mkdir()
    copy = tmp_path / "copy" / path.name
    copy.write_bytes(path.read_bytes())
    assert model_path(str(copy)) == first
    assert weight_files(first)[0].stat().st_mtime_ns == weights


def test_of_several_that_want_a_file_at_once_one_unpacks_it(llama, monkeypatch):
    path, model = llama
    start, written = threading.Barrier(3), []
    write = unpack.write_folder

    def slowly(*args):
        written.append(args)
        time.sleep(0.2)  # the others come meanwhile
        write(*args)

    def want():
        start.wait()
        return model_path(str(path))

    monkeypatch.setattr(unpack, "write_folder", slowly)
    with ThreadPoolExecutor(3) as pool:
        (folder,) = {future.result() for future in [pool.submit(want) for _ in range(3)]}
    assert len(written) == 1
    assert_same_tensors(folder, model)
    assert {p.name for p in Path(folder).parent.iterdir()} - {"tiny.lock"} == {"tiny"}


def test_large_models_come_in_several_files(llama, monkeypatch):
    monkeypatch.setattr("duomem_jax.models.gguf.unpack.SHARD", 20_000)
    folder = model_path(str(llama[0]))
    assert len(weight_files(folder)) > 2
    assert_same_tensors(folder, llama[1])


@pytest.mark.parametrize("size", [0, 3, 40, 900, 0.5, 0.999])
def test_a_part_of_a_file_is_one_sentence_and_leaves_nothing(llama, tmp_path, cache, size):
    whole = llama[0].read_bytes()
    part = tmp_path / "part.gguf"
    part.write_bytes(whole[: int(size * len(whole)) if size < 1 else size])
    with pytest.raises(UserError, match=r"part\.gguf: not a whole GGUF file .*; download"):
        model_path(str(part))
    assert not [path for path in cache.rglob("*") if path.is_file()]


def test_what_a_file_says_and_nobody_applies_is_refused(llama, tmp_path):
    path = write_gguf(tmp_path / "experts.gguf", "llama", llama[1], expert_count=8)
    with pytest.raises(UserError, match=r"llama\.expert_count is 8, which this version"):
        model_path(str(path))


def test_an_unknown_architecture_is_refused(tmp_path):
    writer = gguf.GGUFWriter(tmp_path / "other.gguf", "mamba")
    writer.add_tensor("token_embd.weight", np.zeros((4, 4), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(UserError, match=r"architecture is 'mamba'; supported: llama, qwen2"):
        model_path(str(tmp_path / "other.gguf"))


def test_a_packaged_model_is_found_by_its_name_without_being_imported(llama, tmp_path, monkeypatch):
    # Under a name of its own: the real one may be installed here.
    real = PACKAGES["smollm2"]
    monkeypatch.setitem(PACKAGES, "smollm2", replace(real, module="llm_of_a_test"))
    with pytest.raises(UserError, match=r"smollm2: .* is not installed; pip install gguf, then"):
        model_path("smollm2")
    package = tmp_path / "site/llm_of_a_test"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError")
    (package / real.file).write_bytes(llama[0].read_bytes())
    monkeypatch.syspath_prepend(package.parent)
    assert model_name(model_path("smollm2")) == "SmolLM2-135M-Instruct.Q4_1"


REAL = os.environ.get("DUOMEM_GGUF", "")


@pytest.mark.slow
@pytest.mark.skipif(not REAL, reason="no real models; set DUOMEM_GGUF to a folder of .gguf files")
@pytest.mark.parametrize("path", sorted(Path(REAL or "none").glob("*.gguf")), ids=lambda p: p.stem)
def test_real_models_are_those_that_transformers_reads(path):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    folder = model_path(str(path))
    theirs = AutoModelForCausalLM.from_pretrained(
        path.parent,
        gguf_file=path.name,
        dtype=torch.bfloat16,
        quantization_config=GgufConfig(dequantize=True),
    )
    assert_same_tensors(folder, theirs)
    ours = json.loads((Path(folder) / "config.json").read_text())
    for field in ("rms_norm_eps", "vocab_size", "eos_token_id", "rope_parameters"):
        assert ours[field] == getattr(theirs.config, field)
    tokenizer = load_tokenizer(folder)
    other = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
    for text in ("You are in  the middle\n\nof a room, 1234.", "你好 🙂 naïve\t", other.eos_token):
        assert tokenizer(text)["input_ids"] == other(text)["input_ids"]
    assert tokenizer.chat_template == (other.chat_template or PLAIN)
