"""`ChatPolicy` over a served model: the same conversation, the same moves as a local one's."""

import json
import threading

import pytest
from faulty_server import Walkthroughs, completion, serving, status

from duomem_jax.agents.chat import ChatPolicy
from duomem_jax.agents.policy import GameUsage
from duomem_jax.agents.rollout import play_games
from duomem_jax.base.errors import UserError
from duomem_jax.memory.bank import MemoryBank
from duomem_jax.memory.embed import make_embedder
from duomem_jax.memory.show import guidelines_text
from duomem_jax.records.memories import Memory
from duomem_jax.speak.protocol import Sampling
from duomem_jax.speak.served.model import ServedModel
from duomem_jax.speak.served.server import Server
from duomem_jax.speak.served.speaker import ServedSpeaker
from duomem_jax.text.turns import episode_messages
from duomem_jax.worlds.household.world import Household


@pytest.fixture
def server(games, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with serving(Walkthroughs(games)) as server:
        yield server


@pytest.fixture
def play(server, tmp_path):
    def play(games, *, slots=8, max_steps=50, seed=0, temperature=0.0, **how):
        with ServedModel("teacher", Server(server.url), tmp_path / "served") as model:
            speaker = ServedSpeaker(model)
            talks = speaker.conversations(slots, Sampling(128, temperature))
            policy = ChatPolicy(speaker.name, talks, **how)
            played = play_games(
                Household(), games, policy, slots=slots, max_steps=max_steps, seed=seed
            )
            outcomes = [(game.episode, game) for game in played]
        assert len(outcomes) == len(games)
        return outcomes

    return play


@pytest.mark.parametrize(("system", "k"), [("", 0), ("Play well.", 2)])
def test_the_model_reads_exactly_what_training_shows(server, games, play, system, k):
    memories = [
        Memory(f"m{i}", g.text, f"Do {i} things.", g.id, "expert") for i, g in enumerate(games)
    ]
    bank = MemoryBank(memories, make_embedder())
    outcomes = play(games, system=system, bank=bank, k=k, slots=3)
    assert all(e.success and e.player == "teacher" for e, _ in outcomes)
    sent = {json.dumps(body["messages"]) for body in server.answered}
    by_id = {m.id: m for m in memories}
    for episode, outcome in outcomes:
        shown = [by_id[i] for i in episode.memory_ids]
        assert len(shown) == k
        assert all(m.game_id != episode.game_id for m in shown)
        chat = episode_messages(episode, system=system, guidelines=guidelines_text(shown))
        ends = [i for i, m in enumerate(chat) if m["role"] == "assistant"]
        assert {json.dumps(chat[:i]) for i in ends} <= sent
        ours = sum(len(m["content"].split()) for m in chat if m["role"] != "assistant")
        theirs = sum(len(chat[i]["content"].split()) for i in ends)
        assert outcome.usage == GameUsage(ours, theirs, episode.memory_ids)
    assert len(server.answered) == sum(len(e.turns) for e, _ in outcomes)


def test_all_slots_of_a_round_are_asked_together(server, games, play):
    all_here, right = threading.Barrier(5, timeout=10), server.answer

    def wait_for_the_others(body):
        all_here.wait()
        return right(body)

    server.answer = wait_for_the_others
    play(games[:5], slots=5, max_steps=2)
    assert server.busiest == 5


@pytest.mark.parametrize(
    ("content", "finish", "move"),
    [
        ("Thought: hm.\nAction: look", "stop", ("hm.", "look")),
        ("I cannot do that.", "stop", ("I cannot do that.", "")),
        (None, "content_filter", ("", "")),
        ("Thought: hm.\nAction: go to des", "length", ("hm.", "")),
        ("Thought: hm.\nAction: look\nThen I", "length", ("hm.", "look")),
        ("Thought: a long thou", "length", ("a long thou", "")),
        ("<think>\nAction: no\n</think>\n\nThought: a\nAction: look", "stop", ("a", "look")),
        ("<think>\nAction: look\nand then", "length", ("", "")),
        ("Thought: \ud83d\nAction: look", "stop", ("?", "look")),
    ],
)
def test_replies_are_parsed_into_thought_and_action(server, games, play, content, finish, move):
    server.answer = lambda body: completion(content, finish)
    ((episode, outcome),) = play(games[:1], max_steps=2)
    assert [(turn.thought, turn.action) for turn in episode.turns] == [move, move]
    assert outcome.ended == "steps"


def test_a_conversation_that_is_too_long_is_a_lost_game(server, games, play):
    server.faults = [None, None, status(400, "maximum context length is 8 tokens")]
    ((episode, outcome),) = play(games[:1])
    assert (outcome.ended, len(episode.turns), episode.success) == ("context", 2, False)


def test_sampling_depends_on_game_and_seed(server, games, play):
    for seed in (0, 1):
        play(games[:2], temperature=1.0, seed=seed, max_steps=1)
    assert len({body["seed"] for body in server.answered}) == 4
    play(games[:2], temperature=1.0, seed=0, max_steps=1)
    assert len(server.answered) == 4
    assert {body["max_tokens"] for body in server.answered} == {128}


def test_an_interrupted_game_goes_on_where_it_was(server, games, play):
    server.faults = [None] * 20 + [status(401, "the key was withdrawn")]
    with pytest.raises(UserError, match="withdrawn"):
        play(games, slots=4)
    outcomes = play(games, slots=2)
    assert all(e.success for e, _ in outcomes)
    bodies = [json.dumps(body) for body in server.answered]
    assert len(bodies) == len(set(bodies)) == sum(len(e.turns) for e, _ in outcomes)
