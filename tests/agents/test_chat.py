import copy

import jax
import numpy as np
import pytest

from duomem_jax.agents.chat import ChatPolicy
from duomem_jax.agents.rollout import play_games
from duomem_jax.base.errors import UserError
from duomem_jax.decode.generator import Generator
from duomem_jax.memory.bank import MemoryBank
from duomem_jax.memory.embed import make_embedder
from duomem_jax.memory.show import guidelines_text
from duomem_jax.models.config import ModelConfig
from duomem_jax.models.model import Model
from duomem_jax.records.memories import Memory
from duomem_jax.speak.conversations import LocalConversations
from duomem_jax.text.tokenizer import chat_tokens
from duomem_jax.text.turns import episode_messages, reply
from duomem_jax.worlds.household.world import Household


class ScriptedGenerator:
    """Has the generator's interface, holds what it was given and answers the walkthrough."""

    compile_seconds, max_new = 0.0, 64

    def __init__(self, tokenizer, games):
        self.chat = chat_tokens(tokenizer)
        self.scripts = {game.text: game.walkthrough for game in games}
        self.tokenizer = tokenizer
        self.rows, self.finished = {}, []

    def reset(self, slot, seed=0, adapter=0):
        self.finished.append(self.rows.pop(slot, None))
        self.rows[slot] = []

    def fits(self, slot, n_new):
        return True

    def extend(self, slot_tokens, pictures):
        assert not pictures
        replies = {}
        for slot, tokens in slot_tokens.items():
            assert tokens
            row = self.rows[slot]
            row.extend(tokens)
            task = self.tokenizer.decode(row).split("Your task is to: ")[1].split(".")[0] + "."
            moves = self.scripts[task]
            step = row.count(self.tokenizer.convert_tokens_to_ids("<|assistant|>")) - 1
            action = moves[step] if step < len(moves) else "look"
            replies[slot] = self.chat.reply(reply(f"Step {step}.", action))
            row.extend(replies[slot])
        return replies


@pytest.fixture(scope="module")
def bank(games):
    memories = [
        Memory(f"m{i}", g.text, f"Do {i} things.", g.id, "expert") for i, g in enumerate(games)
    ]
    return MemoryBank(memories, make_embedder())


@pytest.mark.parametrize(("system", "k"), [("", 0), ("Play well.", 2)])
def test_the_model_reads_exactly_what_training_shows(games, tokenizer, bank, system, k):
    generator = ScriptedGenerator(tokenizer, games)
    policy = ChatPolicy(
        "lm", LocalConversations(generator, tokenizer), system=system, bank=bank, k=k
    )
    played = list(play_games(Household(), games, policy, slots=len(games)))
    rows = {tuple(row) for row in generator.rows.values()}
    by_id = {m.id: m for m in bank.memories}
    for game in played:
        episode, usage = game.episode, game.usage
        assert episode.success
        assert len(episode.memory_ids) == k
        shown = [by_id[i] for i in episode.memory_ids]
        assert all(m.game_id != episode.game_id for m in shown)
        text = guidelines_text(shown)
        assert (text == "") == (k == 0)
        messages = episode_messages(episode, system=system, guidelines=text)
        ((tokens, mask, _),) = chat_tokens(tokenizer).conversations([messages])
        assert tuple(tokens) in rows
        assert (usage.prompt_tokens, usage.new_tokens) == (len(mask) - sum(mask), sum(mask))
        assert episode.turns[0].thought == "Step 0."


def test_retrieval_prefers_the_same_kind_of_task(games, tokenizer, bank):
    generator = ScriptedGenerator(tokenizer, games)
    policy = ChatPolicy("lm", LocalConversations(generator, tokenizer), bank=bank, k=1)
    for played in play_games(Household(), games, policy, slots=1):
        episode = played.episode
        (expected,) = bank.retrieve(episode.task, 1, exclude_game_id=episode.game_id)
        assert episode.memory_ids == (expected.id,)


@pytest.fixture(scope="module")
def small(tokenizer):
    config = ModelConfig("qwen3", len(tokenizer), 16, 1, 2, 1, 8, 24, max_len=512)
    model = Model(config)
    rng = np.random.default_rng(0)
    base = jax.tree.map(lambda x: rng.normal(size=x.shape).astype("f"), model.shapes()["params"])
    return model, base


def play(games, tokenizer, small, *, slots, **kwargs):
    generator = Generator(
        *small,
        slots=4,
        max_len=256,
        eos_id=chat_tokens(tokenizer).end_id,
        max_new=12,
        temperature=1.0,
        group=2,
        chunk=128,
    )
    policy = ChatPolicy("lm", LocalConversations(generator, tokenizer))
    played = {p.task.id: p for p in play_games(Household(), games, policy, slots=slots, **kwargs)}
    assert len(played) == len(games)
    return {id: (p.episode, p.usage, p.ended) for id, p in played.items()}


def test_a_sampled_game_depends_on_its_seed_alone(games, tokenizer, small):
    first = play(games, tokenizer, small, slots=4, max_steps=2)
    assert play(games[::-1], tokenizer, small, slots=3, max_steps=2) == first
    assert play(games, tokenizer, small, slots=4, max_steps=2, seed=1) != first


def test_long_games_end_when_the_context_is_full(games, tokenizer, small):
    outcomes = play(games[:4], tokenizer, small, slots=4)
    assert {ended for _, _, ended in outcomes.values()} == {"context"}
    for episode, usage, _ in outcomes.values():
        assert not episode.success
        assert usage.prompt_tokens + usage.new_tokens <= 256
        assert 0 < len(episode.turns) < 50


# As Gemma 2's: the system role is refused.
NO_SYSTEM = (
    "{%- for m in messages %}{%- if m['role'] == 'system' %}"
    "{{ raise_exception('System role not supported') }}{%- endif %}"
    "{{ '<|' + m['role'] + '|>' + m['content'] + '<|end|>' }}{%- endfor %}"
    "{%- if add_generation_prompt %}{{ '<|assistant|>' }}{%- endif %}"
)


def test_a_player_without_a_system_role_reads_what_training_shows(games, tokenizer):
    """The rules that `--player.system` tells open the first message on both sides."""
    tokenizer = copy.deepcopy(tokenizer)
    tokenizer.chat_template = NO_SYSTEM
    generator = ScriptedGenerator(tokenizer, games)
    policy = ChatPolicy("lm", LocalConversations(generator, tokenizer), system="Play well.")
    played = list(play_games(Household(), games, policy, slots=2))
    rows = {tuple(row) for row in (*generator.rows.values(), *generator.finished) if row}
    for game in played:
        messages = episode_messages(game.episode, system="Play well.")
        assert tuple(chat_tokens(tokenizer).conversations([messages])[0].tokens) in rows
        folded = episode_messages(game.episode)
        folded[0]["content"] = f"Play well.\n\n{folded[0]['content']}"
        assert chat_tokens(tokenizer).since(messages) == chat_tokens(tokenizer).since(folded)


@pytest.mark.parametrize("where", ["start", "reply"])
def test_a_refusal_is_what_the_user_sees(games, tokenizer, where):
    """No slot that was never filled is emptied, which would hide the sentence."""
    conversations = LocalConversations(ScriptedGenerator(tokenizer, games), tokenizer)

    def refuse(*args, **kwargs):
        raise UserError("the sentence")

    setattr(conversations, where, refuse)
    with pytest.raises(UserError, match="the sentence"):
        list(play_games(Household(), games, ChatPolicy("lm", conversations), slots=2))
