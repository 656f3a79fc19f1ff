"""Rows that the student plays itself with what it has learnt so far.

Each step plays some games with the current adapter and packs what was said; the teacher in the
loop then scores the student's own tokens (on-policy distillation; GKD, arXiv 2306.13649). A
step's games and their luck depend on the seed and the step alone, so that a run resumes exactly.
"""

import math
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from duomem_jax.agents.guided import Author, Guidance, Players, Rollout, play_guided
from duomem_jax.agents.policy import Move
from duomem_jax.base.errors import UserError
from duomem_jax.base.sample import spread
from duomem_jax.data.loader import finish
from duomem_jax.data.pack import VIEWS, Conversation, pack_examples, row_layout
from duomem_jax.decode.generator import Generator
from duomem_jax.memory.bank import MemoryBank
from duomem_jax.memory.embed import make_embedder
from duomem_jax.memory.show import show
from duomem_jax.models.model import Model
from duomem_jax.records.played import read_episodes
from duomem_jax.text.encoded import Example
from duomem_jax.text.tokenizer import chat_tokens, load_tokenizer
from duomem_jax.train.config import OnPolicyConfig, TrainConfig
from duomem_jax.worlds.household.game import Game
from duomem_jax.worlds.household.load import load_games

GUIDED = 0.8  # of the steps, after which the teacher no longer speaks


class Rollouts:
    """Plays one batch of games a step; needs all weights on this host."""

    def __init__(
        self,
        config: TrainConfig,
        folder: str,
        student: tuple[Model, Any, Any],
        teacher: tuple[Model, Any],
    ):
        """Read the games and set up the players.

        Args:
            config: of the run.
            folder: Hugging Face folder of the student, for its tokenizer.
            student: (model, base, adapter).
            teacher: (model, parameters).

        Raises:
            UserError: games, episodes or memories are missing or do not go together.
        """
        self._config, c = config, config.on_policy
        if jax.process_count() > 1:
            raise UserError("config: on_policy.games works on one host; start one process")
        tokenizer = load_tokenizer(folder)
        self._end = chat_tokens(tokenizer).end_id
        self._records = _records(c) if c.curriculum == "backward" else {}
        self._games = _games(c, self._records)
        self._bank = MemoryBank.load(c.memory, make_embedder(c.embedder)) if c.memory else None
        self._lengths = [c.length, *([c.teacher_length] if self._bank else [])]
        model, base, lora = student
        self._student = self._player(model, base, lora)
        guide = self._player(*teacher, None) if c.guidance else None
        self._players = Players(tokenizer, self._student, guide)

    def _player(self, model: Model, base: Any, lora: Any) -> Generator:
        c = self._config.on_policy
        return Generator(
            model,
            base,
            lora,
            slots=c.batch,
            max_len=min(model.config.max_len, c.length + c.max_new),
            eos_id=self._end,
            max_new=c.max_new,
            temperature=c.temperature,
        )

    def batch(self, step: int, lora: Any) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """(rows, metrics) of the step after `step` others, played with an adapter."""
        config, c = self._config, self._config.on_policy
        games = draw(self._games, c.batch, config.seed, step)
        depth = 1 + step // c.growth if c.curriculum else c.max_steps
        self._student.use(lora)
        records: dict[str, list[Move]] = {}
        if c.curriculum == "backward":
            whole = {game.id: self._records[game.id] for game in games}
            records = {g: r[: max(0, len(r) - depth)] for g, r in whole.items()}
        how = Guidance(guidance(c.guidance, step / config.steps), depth, records)
        seed = step + (config.seed << 20)
        rollouts = play_guided(
            self._players, games, how, slots=c.batch, max_steps=c.max_steps, seed=seed
        )
        episodes = [rollout.episode for rollout in rollouts]
        rows, counts = pack_examples([self._views(r) for r in rollouts], self._lengths)
        taken = rows[: config.global_batch]
        batch = self._stack(taken)
        metrics = {
            "won": (float(sum(e.success for e in episodes)), float(len(episodes))),
            "turns": (float(sum(len(e.turns) for e in episodes)), float(len(episodes))),
            "rows_left_out": (float(len(rows) - len(taken)), 1.0),
            "games_left_out": (float(counts["dropped_too_long"]), 1.0),
        }
        return batch, metrics

    def _views(self, rollout: Rollout) -> Conversation:
        """What the student read, and what the teacher is shown of the same game."""
        read, episode = rollout.transcript, rollout.episode
        views = [Example(read.tokens, [int(author) for author in read.authors])]
        if self._bank is not None:
            shown = show(self._bank, self._config.on_policy.k, episode.task, episode.game_id)
            told = read.told(shown.text, self._players.tokenizer)
            views.append(Example(told.tokens, [int(author) for author in told.authors]))
        return tuple(views)

    def _stack(self, rows: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
        """Rows as a batch of the full size, filled up with empty ones."""
        empty = {
            name: np.zeros(shape, dtype)
            for name, (dtype, shape) in row_layout(self._lengths).items()
        }
        full = rows + [empty] * (self._config.global_batch - len(rows))
        batch = {name: np.stack([row[name] for row in full]) for name in empty}
        if self._config.on_policy.guidance:
            batch["as_text"] = (batch["loss_mask"] == Author.TEACHER).astype(np.int32)
        for view in VIEWS[: len(self._lengths)]:
            batch[view + "loss_mask"] = np.minimum(batch[view + "loss_mask"], 1)
        return finish(batch)


def draw(games: Sequence[Game], n: int, seed: int, step: int) -> list[Game]:
    """The games of a step: all of them in a new order in each epoch."""
    chosen = []
    for i in range(step * n, step * n + n):
        epoch, place = divmod(i, len(games))
        chosen.append(int(np.random.default_rng((seed, epoch)).permutation(len(games))[place]))
    return [games[i] for i in chosen]


def guidance(first: float, done: float) -> float:
    """The teacher's share of turns after a part `done` of the steps."""
    return first * (1 + math.cos(math.pi * min(1.0, done / GUIDED))) / 2


def _games(c: OnPolicyConfig, won: dict[str, list[Move]]) -> Sequence[Game]:
    games = spread(load_games(c.games, split=c.split or None), c.limit)
    if c.curriculum != "backward":
        return games
    games = [game for game in games if game.id in won]
    if not games:
        raise UserError(f"config: {c.episodes} has won none of the games in {c.games}; play them")
    return games


def _records(c: OnPolicyConfig) -> dict[str, list[Move]]:
    """Replies of the won games, by game."""
    if not c.episodes:
        raise UserError(
            "config: on_policy.curriculum backward replays won games; set on_policy.episodes"
        )
    return {
        e.game_id: [(t.thought, t.action) for t in e.turns]
        for e in read_episodes(c.episodes, "train")
        if e.success
    }
