"""Rows that the student plays itself with what it has learnt so far.

Each step plays some games with the current adapter and packs what was said; the teacher in the
loop then scores the student's own tokens (on-policy distillation; GKD, arXiv 2306.13649). A
step's games and their luck depend on the seed and the step alone, so that a run resumes exactly.
"""

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from duomem_jax.agents.guided import Author, Guidance, Players, Rollout, Transcript, play_guided
from duomem_jax.agents.policy import Move
from duomem_jax.base.errors import UserError
from duomem_jax.base.prompts import system_text
from duomem_jax.data.pack import Conversation, pack_examples
from duomem_jax.data.rows import RowFormat, stack
from duomem_jax.decode.generator import Generator
from duomem_jax.memory.show import show
from duomem_jax.mesh.sharding import put_batch
from duomem_jax.models.hf import end_tokens
from duomem_jax.models.model import Model
from duomem_jax.models.trees import Params
from duomem_jax.objectives import Batch, Tokens
from duomem_jax.records.played import read_episodes
from duomem_jax.text.encoded import Example
from duomem_jax.text.tokenizer import chat_tokens, check_ids, load_tokenizer
from duomem_jax.train.config import OnPolicyConfig
from duomem_jax.train.feed import Fed
from duomem_jax.train.plan import Plan
from duomem_jax.train.state.state import Tree
from duomem_jax.train.state.step import Frozen
from duomem_jax.worlds.base import Task

GUIDED = 0.8  # of the steps, after which the teacher no longer speaks


class PlayedRows:
    """A `train.feed.Feed`: plays one batch of games a step; needs all weights on this host."""

    def __init__(self, plan: Plan, frozen: Frozen, params: Tree):
        """Read the games and set up the players.

        Args:
            plan: of the run.
            frozen: base and teacher.
            params: the student's adapter.

        Raises:
            UserError: games, episodes or memories are missing or do not go together.
        """
        if plan.teacher is None or frozen.base is None:
            raise ValueError("a plan of an adapter, with a teacher in the loop, is needed")
        self._plan, c = plan, plan.config.on_policy
        tokenizer = load_tokenizer(plan.folder)
        framing = chat_tokens(tokenizer).framing
        check_ids(plan.config.base, tokenizer, plan.model.config.vocab_size, framing)
        self._end = chat_tokens(tokenizer).end_id
        self._records = _records(c) if c.curriculum == "backward" else {}
        self._world = c.games.open_world()
        system = system_text(c.talk.system, self._world.prompt)
        # After the records: the backward curriculum plays only games that one of them has won.
        self._games = _games(c, self._records)
        self._bank = c.recall.open_bank()
        # Without memories the teacher reads what the student reads, and rows need no second view.
        self._form = RowFormat(c.length, c.teacher_length if self._bank else 0)
        self._student = self._player(plan.folder, plan.model, frozen.base, params)
        guide = None
        if c.guidance:
            # The teacher takes turns only with guidance; otherwise no cache is spent on it.
            guide = self._player(plan.teacher.folder, plan.teacher.model, frozen.taught_by, None)
        self._players = Players(tokenizer, self._student, guide, system)

    def _player(self, folder: str, model: Model, base: Params, lora: Tree | None) -> Generator:
        c = self._plan.config.on_policy
        return Generator(
            model,
            base,
            lora,
            slots=c.play.at_once,
            # A generator begins a turn only with room for the longest reply. With `max_new` on top
            # conversations can fill a row to its end; a last reply that does not fit is cut when
            # packed.
            max_len=min(model.config.max_len, c.length + c.talk.reply_tokens),
            eos_id=self._end,
            max_new=c.talk.reply_tokens,
            temperature=c.talk.temperature,
            ends=end_tokens(folder),
        )

    def batch(self, step: int, params: Tree) -> Fed:
        """Rows of the step after `step` others, played with an adapter."""
        rows, metrics = self.rows(step, params)
        return Fed(put_batch(rows, self._plan.mesh), metrics)

    def close(self) -> None:
        """Nothing is open between steps."""

    def rows(self, step: int, params: Tree) -> tuple[Batch, dict[str, tuple[float, float]]]:
        """(numpy rows, metrics) of the step after `step` others."""
        config, c = self._plan.config, self._plan.config.on_policy
        games = draw(self._games, c.play.at_once, config.seed, step)
        # Both curricula count turns that are spoken: forward from the start of a game, backward
        # after its replayed part.
        depth = 1 + step // c.growth if c.curriculum else c.play.max_steps
        # Only the adapter changes, not its shape, so the generator compiles nothing again.
        self._student.use(params)
        records: dict[str, list[Move]] = {}
        if c.curriculum == "backward":
            whole = {game.id: self._records[game.id] for game in games}
            # All but the last `depth` turns; a game shorter than that is played from its start.
            records = {g: r[: max(0, len(r) - depth)] for g, r in whole.items()}
        rollouts = play_guided(
            self._players,
            self._world,
            games,
            Guidance(guidance(c.guidance, step / config.steps), depth, records),
            slots=c.play.at_once,
            max_steps=c.play.max_steps,
            # Steps in the low 20 bits, seeds above them: no step of one seed plays like one of
            # another.
            seed=step + ((config.seed + c.play.seed) << 20),
        )
        episodes = [rollout.episode for rollout in rollouts]
        packed = pack_examples([self._views(r) for r in rollouts], self._form)
        # A step has one compiled shape; rows beyond it are dropped and counted.
        taken = packed.rows[: config.global_batch]
        games_played = float(len(episodes))
        metrics = {
            # As (sum, weight) pairs: windows of the log then give means over games, not over steps.
            "won": (float(sum(e.success for e in episodes)), games_played),
            "turns": (float(sum(len(e.turns) for e in episodes)), games_played),
            "rows_left_out": (float(len(packed.rows) - len(taken)), 1.0),
            "games_left_out": (float(packed.counts["dropped_too_long"]), 1.0),
        }
        return self._filled(taken), metrics

    def _views(self, rollout: Rollout) -> Conversation:
        """What the student read, and what the teacher is shown of the same game."""
        read, episode = rollout.transcript, rollout.episode
        teacher = None
        if self._bank is not None:
            k = self._plan.config.on_policy.recall.shown
            shown = show(self._bank, k, episode.task, episode.game_id)
            teacher = _example(read.with_guidelines(shown.text, self._players.tokenizer))
        return Conversation(_example(read), teacher)

    def _filled(self, rows: list[Batch]) -> Batch:
        """Rows as a batch of the full size, filled up with empty ones."""
        empty = self._form.empty()
        batch = stack(rows + [empty] * (self._plan.config.global_batch - len(rows)))
        by_teacher = None
        # By the config, not by who spoke in this step: with another structure of the batch the step
        # would be compiled again once the teacher falls silent.
        if self._plan.config.on_policy.guidance:
            by_teacher = batch.student.reply_BT == Author.TEACHER
        teacher = None if batch.teacher is None else _as_mask(batch.teacher)
        return Batch(_as_mask(batch.student), teacher, as_text_BT=by_teacher)


def _example(transcript: Transcript) -> Example:
    # The author in place of the loss mask: 0 is the world, which carries no loss.
    return Example(transcript.tokens, [int(author) for author in transcript.authors])


def _as_mask(tokens: Tokens) -> Tokens:
    """Until here the mask says who wrote a token; a step only asks whether it is learnt."""
    return dataclasses.replace(tokens, reply_BT=tokens.reply_BT > 0)


def draw(games: Sequence[Task], n: int, seed: int, step: int) -> list[Task]:
    """The games of a step: all of them in a new order in each epoch."""
    chosen = []
    for i in range(step * n, step * n + n):
        # A step may begin in one epoch and end in the next. The order is drawn again from (seed,
        # epoch) each time, so that nothing has to be kept for a resumed run.
        epoch, place = divmod(i, len(games))
        chosen.append(int(np.random.default_rng((seed, epoch)).permutation(len(games))[place]))
    return [games[i] for i in chosen]


def guidance(first: float, done: float) -> float:
    """The teacher's share of turns after a part `done` of the steps."""
    return first * (1 + math.cos(math.pi * min(1.0, done / GUIDED))) / 2


def _games(c: OnPolicyConfig, won: dict[str, list[Move]]) -> Sequence[Task]:
    games = c.games.load()
    if c.curriculum != "backward":
        return games
    games = [game for game in games if game.id in won]
    if not games:
        # The plan cannot refuse this: it is known only after the episodes are read.
        raise UserError(
            f"config: {c.episodes} has won none of the games in {c.games.path}; play them"
        )
    return games


def _records(c: OnPolicyConfig) -> dict[str, list[Move]]:
    """Replies of the won games, by game."""
    return {
        e.game_id: [Move(t.thought, t.action) for t in e.turns]
        for e in read_episodes(c.episodes)
        if e.success
    }
