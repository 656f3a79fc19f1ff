"""Every field of PEFT's config is applied, known to change nothing, or refused by name."""

import dataclasses
import json
import warnings

import jax.numpy as jnp
import numpy as np
import pytest
from families import make_model

from duomem_jax.base.errors import UserError
from duomem_jax.lora.peft import load_adapter
from duomem_jax.lora.peft_config import APPLIED, HARMLESS, read_adapter_config
from duomem_jax.models.hf import fingerprint
from duomem_jax.models.load import load_pretrained
from duomem_jax.models.model import Model

peft = pytest.importorskip("peft")

QV = ["q_proj", "v_proj"]
PLAIN = {"r": 4, "lora_alpha": 8, "target_modules": QV, "task_type": "CAUSAL_LM"}
TOKENS = np.arange(24)[None] * 5 % 61
# A value that a field has in no adapter without it. Where the field is applied or harmless, PEFT's
# own output with it is ours; elsewhere the sentence names field and value.
IN_USE = {
    "task_type": "SEQ_CLS",
    "peft_type": "LOHA",
    "exclude_modules": ["k_proj"],
    "bias": "lora_only",
    "modules_to_save": ["lm_head"],
    "init_lora_weights": "pissa",
    "layers_to_transform": 0,  # the first layer, not nothing
    "rank_pattern": {"q_proj": 2},
    "alpha_pattern": {"q_proj": 2},
    "megatron_config": {"x": 1},
    "trainable_token_indices": [3],
    "use_dora": True,
    "velora_config": {},
    "alora_invocation_tokens": [1, 2],
    "use_qalora": True,
    "monteclora_config": {"num_samples": 2},
    "layer_replication": [[0, 1], [0, 1]],
    "lora_bias": True,
    "target_parameters": ["weight"],
    "use_bdlora": {"nblocks": 2},
    "arrow_config": {"top_k": 1},
    "kasa_config": {"beta": 1e-4},
}
FIELDS = [field.name for field in dataclasses.fields(peft.LoraConfig)]


def write(folder, **fields):
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(PLAIN | {"peft_type": "LORA"} | fields))
    return folder


@pytest.mark.parametrize("field", [f for f in FIELDS if f not in APPLIED | HARMLESS])
def test_a_field_in_use_is_refused_by_name(tmp_path, field):
    """A field that a new PEFT adds has no entry above: then decide what it means for us."""
    value = IN_USE[field]
    with pytest.raises(UserError, match=f"adapter_config.json: field {field} = .* not supported;"):
        read_adapter_config(write(tmp_path, **{field: value}))


def test_peft_s_defaults_are_read(tmp_path):
    """All fields as the installed PEFT writes them where nothing is in use."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peft.LoraConfig(**PLAIN).save_pretrained(tmp_path)
    found = read_adapter_config(tmp_path)
    assert (found.rank, found.alpha, set(found.targets)) == (4, 8.0, set(QV))


@pytest.mark.parametrize("value", [None, False, {}, [], ""])
def test_an_unknown_field_is_refused_unless_it_is_empty(tmp_path, value):
    read_adapter_config(write(tmp_path, use_newlora=value))
    with pytest.raises(UserError, match="field use_newlora = 0 is not supported"):
        read_adapter_config(write(tmp_path, use_newlora=0))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("init_lora_weights", x) for x in ("pissa", "pissa_niter_4", "olora", "corda")),
        *(("init_lora_weights", x) for x in ("loftq", "lora_ga", "new", 1, [])),
        *(("r", x) for x in (0, -1, True, 4.0, "4", None, 10**30, 1 << 17, [])),
        *(("lora_alpha", x) for x in (float("nan"), float("inf"), True, "8", None, 10**400)),
        *(("target_modules", x) for x in (None, ".*q_proj", {}, [1], [["q_proj"]], 3)),
        *(("use_rslora", x) for x in (1, "false", None)),
        *(("lora_dropout", x) for x in (None, "0", float("nan"), True)),
        *(("target_modules", x) for x in ([], ["wq"], ["q_proj", "lm_head"])),
        *(("lora_dropout", x) for x in (1.5, 1, -0.1)),
        ("peft_type", None),
        ("use_dora", 1),
    ],
)
def test_values_of_the_wrong_kind_are_refused_by_name(tmp_path, field, value):
    with pytest.raises(UserError, match=rf"adapter_config\.json: field {field} = "):
        read_adapter_config(write(tmp_path, **{field: value}))


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    make_model("qwen3-untied", folder, std=0.1)
    return folder, *load_pretrained(folder)


def of_peft(base, folder, **fields):
    """Logits of PEFT's own adapter with these fields, which is saved in `folder`."""
    import torch
    from transformers import AutoModelForCausalLM

    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_pretrained(base, attn_implementation="eager")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        wrapped = peft.get_peft_model(model, peft.LoraConfig(**PLAIN | fields))
    for name, p in wrapped.named_parameters():
        if "lora_" in name:  # as after some training
            p.data += 0.1 * torch.randn_like(p)
    wrapped.save_pretrained(folder)
    with torch.no_grad():
        return wrapped.eval()(torch.tensor(TOKENS)).logits.numpy()


def ours(base, folder):
    path, config, params = base
    lora, found = load_adapter(folder, Model(config), fingerprint(path))
    model = Model(config, found)
    x = model.hidden(params, TOKENS, jnp.arange(24)[None], np.ones_like(TOKENS), lora)
    return np.asarray(model.head(params)(x))


@pytest.mark.parametrize(
    "fields",
    [
        *({"init_lora_weights": x} for x in (False, "gaussian", "orthogonal", "mica")),
        {"use_rslora": True, "lora_dropout": 0.2, "lora_alpha": 7.5},
        {"target_modules": ["self_attn.q_proj", "mlp.down_proj"]},
        {"target_modules": [f"model.layers.{i}.self_attn.q_proj" for i in range(2)]},
        {"fan_in_fan_out": True, "ensure_weight_tying": True, "qalora_group_size": 8},
        {"loftq_config": {"loftq_bits": 4, "loftq_iter": 1}, "revision": "main"},
    ],
    ids=lambda fields: " ".join(map(str, fields.values()))[:40],
)
def test_what_is_read_equals_peft(base, tmp_path, fields):
    want = of_peft(base[0], tmp_path / "a", **fields)
    np.testing.assert_allclose(ours(base, tmp_path / "a"), want, atol=3e-6)


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"init_lora_weights": "pissa"}, "init_lora_weights = 'pissa'"),
        ({"init_lora_weights": "olora"}, "init_lora_weights = 'olora'"),
        ({"layers_to_transform": [0]}, r"layers_to_transform = \[0\]"),
        ({"exclude_modules": r".*layers\.1.*"}, "q_proj of 1 .* exclude_modules"),
        ({"lora_bias": True}, "lora_bias = True"),
        ({"target_modules": ["layers.1.self_attn.q_proj"]}, "q_proj of 1 .* target_modules"),
    ],
)
def test_what_peft_computes_otherwise_is_refused(base, tmp_path, fields, named):
    of_peft(base[0], tmp_path / "a", **fields)
    with pytest.raises(UserError, match=named):
        ours(base, tmp_path / "a")


def edit_weights(folder, change):
    from safetensors.numpy import load_file, save_file

    file = folder / "adapter_model.safetensors"
    tensors = {name: change(x) for name, x in load_file(file).items()}
    save_file({name: x for name, x in tensors.items() if x is not None}, file)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (lambda x: (x * 10).astype(np.int8), "holds int8; save the adapter in float32"),
        (lambda x: x / np.float32(0), "infinite or not numbers"),
        (lambda x: None, "does not fit the base model"),
    ],
)
def test_weights_that_are_none_are_refused(base, tmp_path, change, named):
    of_peft(base[0], tmp_path / "a")
    edit_weights(tmp_path / "a", change)
    with np.errstate(all="ignore"), pytest.raises(UserError, match=named):
        ours(base, tmp_path / "a")


def test_weights_in_narrow_floats_are_read(base, tmp_path):
    want = of_peft(base[0], tmp_path / "a")
    import ml_dtypes

    edit_weights(tmp_path / "a", lambda x: x.astype(ml_dtypes.bfloat16))
    np.testing.assert_allclose(ours(base, tmp_path / "a"), want, atol=0.1)


def test_weights_of_another_format_beside_are_not_read(base, tmp_path):
    """PEFT reads the safetensors where both are there; alone, pickled weights are refused."""
    want = of_peft(base[0], tmp_path / "a")
    (tmp_path / "a/adapter_model.bin").write_bytes(b"junk")
    np.testing.assert_allclose(ours(base, tmp_path / "a"), want, atol=3e-6)
    (tmp_path / "a/adapter_model.safetensors").unlink()
    with pytest.raises(UserError, match=r"pickled weights; save .* safe_serialization=True"):
        ours(base, tmp_path / "a")
