"""Tiny tokenizers with real chat templates' shapes, and made-up episodes."""

import random

import pytest

from duomem_jax.records.episodes import Episode, Turn

CHATML = (
    "{%- for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + "
    "'<|im_end|>' + '\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{%- endif %}"
)
# As Qwen3: an empty think block opens a reply, and is dropped from earlier turns.
QWEN3 = (
    "{%- for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' }}"
    "{%- if m['role'] == 'assistant' and loop.last %}{{ '<think>\n\n</think>\n\n' }}{%- endif %}"
    "{{ m['content'] + '<|im_end|>' + '\n' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{%- if enable_thinking is defined and not enable_thinking %}"
    "{{ '<think>\n\n</think>\n\n' }}{%- endif %}{%- endif %}"
)
# As a model that always thinks.
THINKING = CHATML.replace("assistant\n'", "assistant\n<think>\n'")
# As Mistral's first: system messages vanish.
DEAF = (
    "{%- for m in messages %}{%- if m['role'] == 'user' %}{{ '[' + m['content'] + ']' }}"
    "{%- elif m['role'] == 'assistant' %}{{ m['content'] + '<|im_end|>' }}{%- endif %}"
    "{%- endfor %}"
)
# As Gemma: begin token, trimmed contents, another end of turn, no system role.
GEMMA = (
    "{{ bos_token }}{%- for m in messages %}"
    "{%- if m['role'] == 'system' %}{{ raise_exception('System role not supported') }}"
    "{%- endif %}{%- set role = 'model' if m['role'] == 'assistant' else m['role'] %}"
    "{{ '<start_of_turn>' + role + '\n' + m['content'] | trim + '<end_of_turn>\n' }}"
    "{%- endfor %}{%- if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{%- endif %}"
)
# Old Mistral: the system text moves to the last user message.
MOVING = (
    "{%- for m in messages %}{%- if m['role'] == 'user' %}"
    "{{ '<|im_start|>' + ('last ' if loop.index0 >= messages | length - 2 else '') }}"
    "{%- endif %}{{ m['content'] + '<|im_end|>' }}{%- endfor %}"
)

SPECIAL = {
    "chatml": ["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
    "gemma": ["<bos>", "<start_of_turn>", "<end_of_turn>"],
}
CORPUS = [
    "You are in the middle of a room. Looking quickly around you, you see a bed 1, a desk 1.",
    "Your task is to: put a clean plate in fridge.",
    "Thought: I should look in the drawer first.\nAction: go to drawer 1",
    "Observation: On the drawer 1, you see a pen 1, and a book 2.\nuser\nassistant\nmodel\n",
]


def make_tokenizer(template, special):
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token=special[0], eos_token=special[0]
    )
    fast.chat_template = template
    return fast


@pytest.fixture(scope="session")
def tokenizers():
    return {
        "chatml": make_tokenizer(CHATML, SPECIAL["chatml"]),
        "qwen3": make_tokenizer(QWEN3, SPECIAL["chatml"]),
        "thinking": make_tokenizer(THINKING, SPECIAL["chatml"]),
        "gemma": make_tokenizer(GEMMA, SPECIAL["gemma"]),
        "deaf": make_tokenizer(DEAF, SPECIAL["chatml"]),
        "moving": make_tokenizer(MOVING, SPECIAL["chatml"]),
    }


def make_episode(i, *, success=True, task="put a clean plate in fridge."):
    rng = random.Random(i)
    first = f"You are in room {i}.\n\nYour task is to: {task}"
    turns = [Turn(first, "I look around, élan.", "look")]
    for k in range(rng.randrange(1, 6)):
        n = rng.randrange(20)
        turns.append(
            Turn(f"On the drawer {n}, you see a pen {k}.", f"Next {k}", f"open drawer {n}")
        )
    return Episode(
        game_id=f"pick_and_place_simple-Plate-None-Fridge-{i}/trial_{i}",
        task=task,
        kind="pick_and_place_simple",
        turns=tuple(turns),
        final_observation="You won." if success else "Nothing happens.",
        score=float(success),
        player="expert",
        seed=i % 3,
        world="household",
        version="fast-1",
        memory_ids=() if i % 2 else (f"m{i}", "mé"),
    )


@pytest.fixture(scope="session")
def episodes():
    return [make_episode(i, success=i % 5 != 0) for i in range(24)]
