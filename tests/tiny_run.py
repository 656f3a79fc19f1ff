"""A tiny base model, a tiny packed dataset and a config on disk, shared by the train tests."""

import jax
import pytest
from counting import T, make_rows

import train
from duomem_jax.data.rows import RowFormat
from duomem_jax.models.config import ModelConfig
from duomem_jax.models.hf import save_pretrained
from duomem_jax.models.model import Model
from duomem_jax.records.store.write import DatasetSpec, ShardWriter
from duomem_jax.text.tokenizer import load_tokenizer, vocabulary_fingerprint

TINY = ModelConfig("qwen3", 64, 32, 2, 4, 2, 8, 48, max_len=64)
STEPS = 20  # of a run here
CONFIG = """
from duomem_jax.mesh.config import MeshConfig
from duomem_jax.train.config import OptimizerConfig, TrainConfig
from duomem_jax.models.lora import LoraConfig


def get_config():
    return TrainConfig(
        base={base!r},
        data={data!r},
        output={output!r},
        lora=LoraConfig(rank=2, alpha=4.0, targets=("q_proj", "v_proj", "down_proj")),
        optimizer=OptimizerConfig(learning_rate=2e-1, warmup_steps=2),
        mesh=MeshConfig(data=1),
        steps={steps},
        global_batch=8,
        checkpoint_every=5,
    )
"""


def write_config(folder, base, data, steps):
    path = folder / "tiny.py"
    output = str(folder / "out")
    path.write_text(CONFIG.format(base=str(base), data=str(data), output=output, steps=steps))
    return path


@pytest.fixture(scope="session")
def base_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("base")
    save_pretrained(folder, TINY, jax.jit(Model(TINY).init)(jax.random.key(0)))
    write_tokenizer(folder)
    return folder


def write_tokenizer(folder, first=0):
    """A tokenizer of 64 words, the numbers from `first` on."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = {str(first + i): i for i in range(TINY.vocab_size)}
    tokenizer = Tokenizer(models.WordLevel(words, unk_token=str(first)))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=str(first))
    fast.chat_template = "{% for m in messages %}{{ m['content'] }} 0 {% endfor %}"
    fast.save_pretrained(folder)


def write_rows(folder, rows, base, length=T):
    """A folder of packed rows that were made with the tokenizer of `base`."""
    vocabulary = vocabulary_fingerprint(load_tokenizer(base))
    form = RowFormat(length)
    config = {"length": length, "vocabulary": vocabulary}
    with ShardWriter(folder, DatasetSpec("examples", form.layout(), config=config)) as writer:
        writer.add("0", list(rows))
        writer.finish()
    return folder


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory, base_folder):
    return write_rows(tmp_path_factory.mktemp("data") / "examples", make_rows(64), base_folder)


@pytest.fixture
def config_file(tmp_path, base_folder, data_folder):
    return write_config(tmp_path, base_folder, data_folder, steps=STEPS)


@pytest.fixture(scope="session")
def done(tmp_path_factory, base_folder, data_folder):
    """A finished run: (config file, output folder)."""
    folder = tmp_path_factory.mktemp("done")
    config_file = write_config(folder, base_folder, data_folder, steps=STEPS)
    assert train.main(["--config", str(config_file)]) == 0
    return config_file, folder / "out"
