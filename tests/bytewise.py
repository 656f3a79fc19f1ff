"""A teacher whose tokens are bytes."""

import jax
import pytest

from duomem_jax.models.config import ModelConfig
from duomem_jax.models.hf import save_pretrained
from duomem_jax.models.model import Model


@pytest.fixture(scope="session")
def other_teacher(tmp_path_factory):
    """The tiny teacher's shape with a byte-level tokenizer of its own, untrained."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    folder = tmp_path_factory.mktemp("other")
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    tokenizer = Tokenizer(models.BPE({c: i for i, c in enumerate(sorted(alphabet))}, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(["<bos>", "<start>", "<end>"])
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>")
    fast.chat_template = (
        "{%- for m in messages %}{{ '<start>' + m['role'] + '\\n' + m['content'] + '<end>' }}"
        "{%- endfor %}{%- if add_generation_prompt %}{{ '<start>assistant\\n' }}{%- endif %}"
    )
    shape = ModelConfig("qwen3", len(fast), 32, 2, 4, 2, 8, 48, max_len=4096)
    params = jax.jit(Model(shape).init)(jax.random.key(0))
    save_pretrained(folder, shape, jax.tree.map(lambda x: 3 * x, params))
    fast.save_pretrained(folder)
    return str(folder)
