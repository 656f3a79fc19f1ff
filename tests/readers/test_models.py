"""Models, adapters, tokenizers, runs of training and configs, damaged."""

import dataclasses

import jax
import numpy as np
import pytest
from good import open_checkpoints, small_state
from reading import Reader, check_found, short_and_long
from tiny_run import TINY

from duomem_jax import stages
from duomem_jax.base.config import from_file
from duomem_jax.experiments.training import cost, fidelity
from duomem_jax.lora.open import content_name
from duomem_jax.lora.peft import load_adapter
from duomem_jax.models.hf import end_tokens, fingerprint, load_config
from duomem_jax.models.load import load_pretrained
from duomem_jax.models.model import Model
from duomem_jax.text.tokenizer import chat_tokens, load_tokenizer, tokenizer_fingerprint
from duomem_jax.train.config import TrainConfig
from duomem_jax.train.output import check_output
from duomem_jax.train.watch.writers import JsonLines, read_metrics


def leaves(tree):
    return [np.asarray(x).tobytes() for x in jax.tree.leaves(tree)]


def model(folder):
    """Config, end tokens and weights."""
    config, params = load_pretrained(folder)
    fingerprint(folder)
    return config, leaves(params), end_tokens(folder)


def config_alone(folder):
    return load_config(folder), end_tokens(folder)


def tokenizer(folder):
    loaded = load_tokenizer(folder)
    tokens = chat_tokens(loaded)
    tokenizer_fingerprint(loaded)
    chat = [
        {"role": "system", "content": "Play."},
        {"role": "user", "content": "You see a mug 1."},
        {"role": "assistant", "content": "Action: take mug 1"},
    ]
    return tokens.conversations([chat]), tokens.end_id, tokens.opening


def adapter(folder):
    """Factors, as a model that plays has them, and its name."""
    content_name(str(folder / "base"), str(folder / "adapter"))
    found = load_adapter(folder / "adapter", Model(TINY), fingerprint(folder / "base"))
    return leaves(found.tree), found.config


def exported(folder):
    """What an export writes, but for the path."""
    out = folder.parent / "exported"
    stages.export(str(out), str(folder / "adapter"), str(folder / "base"))
    names = ("adapter_model.safetensors", "README.md")
    return [(out / name).read_text(errors="replace").replace(str(folder), "") for name in names]


def exported_again(folder):
    return stages.export(str(folder / "exported"), str(folder / "adapter")).replace(str(folder), "")


def restored(folder):
    """The state of the last checkpoint that can be read, which must be as it was saved."""
    saver, like = open_checkpoints(folder), small_state(0)
    try:
        saver.best()
        state = saver.restore(like, jax.tree.map(lambda x: x.sharding, like))
    finally:
        saver.close()
    assert state is None or leaves(state) == leaves(small_state(int(state.step)))
    return None


def run_config(folder):
    return from_file(folder / "config.py", "get_config", TrainConfig)


def output_checked(folder):
    check_output(dataclasses.replace(run_config(folder), output=str(folder)))


def run_cost(folder):
    return cost(folder)


def continued_metrics(folder):
    path = folder / "metrics.jsonl"
    JsonLines(path, 10)
    return read_metrics(path) if path.exists() else []


def kept_fidelity(folder):
    return fidelity("no student", "no teacher", "no rows", str(folder / "adapter"))


READERS = [
    Reader("model: config", "model_base", "config.json", "json", config_alone),
    Reader("model: config and weights", "model_base", "config.json", "json", model),
    Reader("model: weights", "model_base", "model.safetensors", "binary", model),
    Reader("model: end tokens", "model_base", "generation_config.json", "json", config_alone),
    Reader("model: index", "sharded_model", "model.safetensors.index.json", "json", model),
    Reader("model: shard", "sharded_model", "model-00001-*.safetensors", "binary", model),
    Reader("tokenizer: rules", "tokenizer_folder", "tokenizer.json", "json", tokenizer),
    Reader("tokenizer: config", "tokenizer_folder", "tokenizer_config.json", "json", tokenizer),
    Reader("tokenizer: all in its config", "shipped_tokenizer", "tokenizer_config.json", "json",
           tokenizer),
    Reader("tokenizer: template", "tokenizer_folder", "chat_template.jinja", "text", tokenizer),
    *(
        Reader(f"{what}: {file}", "run_folder", f"adapter/{file}", kind, read)
        for what, read in (("adapter", adapter), ("export", exported))
        for file, kind in (
            ("adapter_config.json", "json"),
            ("adapter_model.safetensors", "binary"),
            ("duomem.json", "json"),
        )
    ),
    Reader("export: facts", "exported_folder", "exported/exported.json", "json", exported_again),
    *(
        Reader(f"checkpoint: {file}", "checkpoints", file, kind, restored, leaves=("*",))
        for file, kind in (
            ("10/_CHECKPOINT_METADATA", "json"),
            ("10/state/_METADATA", "json"),
            ("10/state/d/*", "binary"),
            ("10/state/manifest.ocdbt", "binary"),
        )
    ),
    Reader("run: config", "run_folder", "config.json", "json", output_checked),
    Reader("run: metrics", "run_folder", "metrics.jsonl", "json lines", run_cost),
    Reader("run: config, for its cost", "run_folder", "config.json", "json", run_cost),
    Reader(
        "run: metrics, continued", "run_folder", "metrics.jsonl", "json lines", continued_metrics,
        leaves=("metrics.jsonl",),
    ),
    Reader("run: fidelity", "measured", "fidelity.json", "json", kept_fidelity),
    Reader("config in Python", "config_folder", "tiny.py", "text", lambda f: from_file(
        f / "tiny.py", "get_config", TrainConfig
    )),
]  # fmt: skip


# What ended in a traceback, or in a wrong result, before these readers were tried.
FOUND = [
    ("tokenizer: config", ("model_max_length", "x")),
    ("export: duomem.json", ("command", "\ud800")),
    ("run: config, for its cost", b""),
    ("run: config, for its cost", ("steps", "20")),
    ("run: metrics", b"\x9e\n"),
    ("run: metrics", b""),
    ("run: metrics", ("step", 30)),
    ("run: metrics", ("loss_tokens", "<beyond floats>")),
    ("run: metrics, continued", b"\x9e\n"),
    ("run: metrics, continued", b"[]\n"),
    ("run: fidelity", b""),
    ("run: fidelity", ("tokens", None)),
    ("checkpoint: 10/_CHECKPOINT_METADATA", ("metrics", 1)),
    ("checkpoint: 10/_CHECKPOINT_METADATA", ("metrics", {"loss": "x"})),
]


@pytest.mark.parametrize(("name", "found"), FOUND)
def test_found_before(name, found, request):
    (reader,) = (reader for reader in READERS if reader.name == name)
    check_found(reader, request.getfixturevalue(reader.valid), found)


test_damaged_input_is_one_sentence, test_damaged_input_is_one_sentence_for_long = short_and_long(
    READERS
)
