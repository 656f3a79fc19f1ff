"""What the shipped models tell others: where a reply ends, and how it is read."""

import json

import pytest

from duomem_jax.models.shipped import NAMES, model_folder
from duomem_jax.text.tokenizer import chat_tokens, load_tokenizer
from duomem_jax.tiny.tokenizer import save_tokenizer, vocabulary


@pytest.mark.parametrize("name", [*NAMES, "new"])
def test_generation_ends_with_the_reply(name, tmp_path):
    if name == "new":
        save_tokenizer(tmp_path, vocabulary(["You see a mug 1."], min_count=1), max_length=64)
    folder = tmp_path if name == "new" else model_folder(name)
    tokenizer = load_tokenizer(folder)
    generation = json.loads((folder / "generation_config.json").read_text())
    assert generation == {"eos_token_id": chat_tokens(tokenizer).end_id}
    chat = [{"role": "user", "content": "a"}]
    prompt = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    read = tokenizer.parse_response("b c<|end|>", prefix=prompt)
    assert read == {"role": "assistant", "content": "b c"}
