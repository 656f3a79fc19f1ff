import random

import pytest

from duomem_jax.agents.policy import EachAlone, GameUsage
from duomem_jax.agents.rollout import play_games
from duomem_jax.base.errors import UserError
from duomem_jax.worlds.base import Move, Step, Task, World
from duomem_jax.worlds.household.engine.fast import FastEngine
from duomem_jax.worlds.household.world import Household

HOUSEHOLD = Household()


class Walker:
    """Follows the walkthrough, after some idle looks that depend on game and seed."""

    def __init__(self, game, seed):
        rng = random.Random(f"{game.id}{seed}")
        self.commands = ["look"] * rng.randint(0, 3) + list(game.walkthrough)

    def reset(self, first_observation):
        assert first_observation.startswith("-= Welcome")
        self.left = iter(self.commands)

    def act(self, observation):
        return Move(f"I saw {len(observation)} letters.", next(self.left, "look"))


@pytest.fixture
def walker():
    return EachAlone("walker", Walker)


def test_episodes_tell_what_happened(games, walker):
    episodes = [p.episode for p in play_games(HOUSEHOLD, games, walker, slots=3, seed=4)]
    assert len(episodes) == len(games)
    for episode in episodes:
        game = next(g for g in games if g.id == episode.game_id)
        assert (episode.task, episode.kind) == (game.text, game.kind)
        assert (episode.player, episode.seed) == ("walker", 4)
        assert episode.world == "household"
        assert episode.version.startswith("fast ")
        assert episode.success
        assert episode.score == 1.0
        world = FastEngine(game)
        seen, won = world.reset(), False
        for turn in episode.turns:
            assert not won
            assert turn.observation == seen
            assert turn.thought == f"I saw {len(seen)} letters."
            seen, won = world.step(turn.action)
        assert won
        assert episode.final_observation == seen


def test_slots_and_order_change_nothing(games, walker):
    def play(slots, order, **kwargs):
        played = play_games(HOUSEHOLD, order, walker, slots=slots, **kwargs)
        return {p.task.id: p.episode for p in played}

    alone = play(1, games)
    assert play(3, games) == alone
    assert play(64, games[::-1]) == alone
    assert play(2, games, seed=9) != alone


def test_a_game_ends_at_the_step_limit_or_when_won_on_it(games, walker):
    whole = play_games(HOUSEHOLD, games, walker, slots=7)
    lengths = {p.task.id: len(p.episode.turns) for p in whole}
    limit = sorted(lengths.values())[3]
    played = list(play_games(HOUSEHOLD, games, walker, slots=2, max_steps=limit))
    for game in played:
        won = lengths[game.task.id] <= limit
        assert game.episode.success == won
        assert game.ended == ("won" if won else "steps")
        assert len(game.episode.turns) == min(lengths[game.task.id], limit)
    assert {game.ended for game in played} == {"won", "steps"}


class Forgetful(EachAlone):
    """Runs out of context at the third move."""

    name, setup_seconds = "forgetful", 0.0

    def __init__(self):
        self.moves = {}

    def start(self, slot, game, first_observation, seed):
        assert slot not in self.moves
        self.moves[slot] = 0

    def act(self, observations):
        for slot in observations:
            self.moves[slot] += 1
        return {s: None if self.moves[s] == 3 else Move("", "look") for s in observations}

    def stop(self, slot):
        return GameUsage(prompt_tokens=10 * self.moves.pop(slot), new_tokens=5, memory_ids=("m",))


def test_a_conversation_that_does_not_fit_is_a_lost_game(games):
    policy = Forgetful()
    played = list(play_games(HOUSEHOLD, games, policy, slots=2))
    assert len(played) == len(games)
    for game in played:
        assert not game.episode.success
        assert len(game.episode.turns) == 2
        assert game.ended == "context"
        assert game.usage == GameUsage(30, 5, ("m",))
        assert game.episode.memory_ids == ("m",)
    assert policy.moves == {}


class Refusing(Forgetful):
    """Cannot begin its second game."""

    def start(self, slot, game, first_observation, seed):
        if self.moves:
            raise UserError("no second game")
        super().start(slot, game, first_observation, seed)


def test_a_refused_game_ends_the_others_and_keeps_its_sentence(games):
    policy = Refusing()
    with pytest.raises(UserError, match="no second game"):
        list(play_games(HOUSEHOLD, games, policy, slots=2))
    assert policy.moves == {}


class Trap(World):
    """Its only game ends at the second command, with the score that its task's text says."""

    name, prompt = "trap", "Do something."

    def tasks(self, path, split=""):
        return [Task(score, score, "trap") for score in ("0", "0.5", "1")]

    def open(self, task):
        return Trapped(float(task.text))


class Trapped:
    def __init__(self, score):
        self.score = score

    def reset(self):
        self.left = 2
        return "-= Welcome"

    def step(self, command):
        self.left -= 1
        return Step(f"{self.left} left.", self.left == 0, self.score)


@pytest.mark.parametrize(
    ("max_steps", "ends"),
    [
        (5, {"0": "lost", "0.5": "lost", "1": "won"}),
        (1, {"0": "steps", "0.5": "steps", "1": "won"}),
    ],
)
def test_a_world_may_end_a_game_that_is_not_won(max_steps, ends):
    class Looker:
        def reset(self, first_observation):
            assert first_observation == "-= Welcome"

        def act(self, observation):
            return Move("", "look")

    world = Trap()
    policy = EachAlone("looker", lambda task, seed: Looker())
    played = list(play_games(world, world.tasks(""), policy, slots=2, max_steps=max_steps))
    assert {p.task.id: p.ended for p in played} == ends
    assert {p.task.id: p.episode.score for p in played} == {"0": 0, "0.5": 0.5, "1": 1}
    assert all(len(p.episode.turns) == min(2, max_steps) for p in played)
    assert all(p.episode.success == (p.ended == "won") for p in played)


def test_seconds_add_up_to_the_run_without_set_up(games, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("duomem_jax.agents.rollout.time.monotonic", lambda: clock[0])

    class Slow(Forgetful):
        def act(self, observations):
            clock[0] += 2.0
            if self.setup_seconds == 0.0:  # the first call compiles for a while
                clock[0] += 100.0
                self.setup_seconds = 100.0
            return super().act(observations)

    seconds = []
    for game in play_games(HOUSEHOLD, games[:3], Slow(), slots=2):
        seconds.append(game.seconds)
        clock[0] += 1000.0  # what the caller does between episodes is not playing
    # Two games share three rounds of 2 s, the third has three rounds for itself.
    assert seconds == pytest.approx([3.0, 3.0, 6.0])


def test_stopping_early_empties_the_slots(games):
    policy = Forgetful()
    played = play_games(HOUSEHOLD, games, policy, slots=3)
    next(played)
    played.close()
    assert policy.moves == {}


def test_games_are_read_as_slots_become_free(games):
    read = []

    def lazily():
        for game in games:
            read.append(game.id)
            yield game

    played = play_games(HOUSEHOLD, lazily(), Forgetful(), slots=2)
    next(played)
    assert len(read) == 2
    assert len(list(played)) == len(games) - 1
