"""Games a minute with and without guessed tokens, while on-policy training changes the player.

    python benchmarks/draft.py

The tiny student learns from the expert's games. Then it plays itself and the tiny teacher judges
it, in stages that go on from each other's adapter. Before and after each stage the adapter plays
other games plainly and with each drafter, by turns in one process; all must play them alike. The
tiny teacher with the student as drafter is the case of a small model. Compiling is omitted; the
fastest round of each way counts.
"""

import dataclasses
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import tyro

from duomem_jax import stages
from duomem_jax.agents.chat import ChatPolicy
from duomem_jax.agents.play import MAX_NEW, Play
from duomem_jax.agents.player import Player
from duomem_jax.agents.rollout import play_games
from duomem_jax.experiments.tiny import tiny_training
from duomem_jax.models.shipped import model_folder
from duomem_jax.objectives.config import ObjectiveConfig
from duomem_jax.records.episodes import Episode
from duomem_jax.report.table import markdown_table
from duomem_jax.speak.local import LocalSpeaker
from duomem_jax.speak.open import Local, load_speaker
from duomem_jax.speak.protocol import Sampling
from duomem_jax.stages.examples import Examples
from duomem_jax.train.config import OnPolicyConfig, TrainConfig
from duomem_jax.train.run import run
from duomem_jax.worlds.games import Games

STUDENT, TEACHER = (str(model_folder(f"tiny-{who}")) for who in ("student", "teacher"))
CASES = (1, 0.0), (16, 0.0), (16, 1.0)  # slots and temperature
HEAD = "player", "slots", "temperature", "draft", "games / min", "times plain", "CPU s", "right"


class Way:
    """One player with one drafter."""

    def __init__(self, model: str, local: Local, slots: int, temperature: float):
        """Compile nothing yet."""
        self.draft, self._slots = Path(local.draft).name or "none", slots
        self.seconds = self.processor = float("inf")
        self.speaker: LocalSpeaker = load_speaker(model, local)
        talks = self.speaker.conversations(slots, Sampling(MAX_NEW, temperature))
        self._policy = ChatPolicy("player", talks)

    def play(self, games: Games) -> list[Episode]:
        """The episodes, in the order of their games."""
        start, cpu, setup = time.monotonic(), time.process_time(), self._policy.setup_seconds
        played = list(play_games(games.open_world(), games.load(), self._policy, slots=self._slots))
        if self._policy.setup_seconds == setup:
            self.seconds = min(self.seconds, time.monotonic() - start)
            self.processor = min(self.processor, time.process_time() - cpu)
        return sorted((p.episode for p in played), key=lambda episode: episode.game_id)


def compared(
    model: str, held: Sequence[Local], slots: int, temperature: float, games: Games, rounds: int
) -> list[Sequence[str]]:
    """Columns of a row for each drafter, the first of which is none."""
    ways = [Way(model, local, slots, temperature) for local in held]
    for _ in range(1 + rounds):
        alike = [way.play(games) for way in ways]
        if any(episodes != alike[0] for episodes in alike):
            raise SystemExit("a drafter has changed what is played")
    count, plain = len(alike[0]), ways[0]
    return [
        (
            str(slots),
            f"{temperature:g}",
            way.draft,
            f"{60 * count / way.seconds:,.0f}",
            f"{plain.seconds / way.seconds:.2f}",
            f"{way.processor:.1f}",
            f"{way.speaker.guesses.share:.0%}" if way is not plain else "",
        )
        for way in ways
    ]


def first_adapter(root: Path, games: Games, steps: int) -> str:
    """Learnt from the expert."""
    stages.play(str(root / "episodes"), games, Player("expert", "expert"))
    rows = str(root / "rows")
    stages.examples(rows, STUDENT, str(root / "episodes"), how=Examples(length=1024))
    train = dataclasses.replace(tiny_training(steps), base=STUDENT, data=rows)
    return str(run(dataclasses.replace(train, output=str(root / "before"))))


def next_adapter(root: Path, games: Games, steps: int, adapter: str, stage: int) -> str:
    """What on-policy training makes of an adapter."""
    train: TrainConfig = dataclasses.replace(
        tiny_training(steps, warmup_steps=1),
        base=STUDENT,
        adapter=adapter,
        output=str(root / f"stage{stage}"),
        teacher=TEACHER,
        objective=ObjectiveConfig("reverse_kl"),
        on_policy=OnPolicyConfig(games, Play(slots=8, max_steps=20)),
        seed=stage,
    )
    return str(run(train))


def main(
    games: int = 32,
    rounds: int = 2,
    first_steps: int = 200,
    steps: int = 20,
    checkpoints: int = 3,
    draft_tokens: int = 3,
    adapter: str = "",
) -> None:
    """Print a table for each player.

    Args:
        games: played by each player; four times as many others are learnt from.
        rounds: measured ones of each way.
        first_steps: of training on the expert's games.
        steps: of on-policy training between two rows.
        checkpoints: rows of it.
        draft_tokens: guessed at a time.
        adapter: PEFT folder to begin with; empty: what the expert's games teach.
    """
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        learnt, played = (Games(str(root / name)) for name in ("learnt", "played"))
        stages.generate(learnt.path, 4 * games, 1)
        stages.generate(played.path, games, 2)
        adapter = adapter or first_adapter(root, learnt, first_steps)

        def show(player: str, model: str, own: str, small: str) -> None:
            drafts = ("", "lookup", small)
            held = [Local(own, draft=draft, draft_tokens=draft_tokens) for draft in drafts]
            rows = [
                (player, *row)
                for at_once, temperature in CASES
                for row in compared(model, held, at_once, temperature, played, rounds)
            ]
            print(f"\n{markdown_table(HEAD, rows)}", flush=True)

        show("before", STUDENT, adapter, "base")
        for stage in range(1, checkpoints + 1):
            adapter = next_adapter(root, learnt, steps, adapter, stage)
            show(f"step {stage * steps}", STUDENT, adapter, "base")
        show("teacher", TEACHER, "", STUDENT)


if __name__ == "__main__":
    tyro.cli(main)
