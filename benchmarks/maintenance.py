"""What each maintenance policy does to the size of the memories of long dialogues, and to answers.

    duomem dialogues runs/long --count 12 --seed 5 --held-out --size.sessions 60 \\
        --size.questions 100
    python benchmarks/maintenance.py runs/long --assistant.name facts --assistant.shown facts \\
        --assistant.model tiny-listener --assistant.answer ADAPTER

After the last session every other question is asked, and what it was shown is credited, as
usefulness and forgetting go by that: an answer is good from an F1 of 0.5 on. Then a policy
maintains a copy of the memories, as things stand at the last session, and the remaining questions
are asked. Intervals resample dialogues; differences are paired with the copy that was left alone.
"""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro

from duomem_jax.base.progress import Progress
from duomem_jax.evals.dialogues.assistant import Assistant
from duomem_jax.evals.dialogues.metrics import key_of, locomo_f1
from duomem_jax.evals.dialogues.run import at_work
from duomem_jax.evals.dialogues.show import Page
from duomem_jax.evals.dialogues.subject import Subject
from duomem_jax.evals.stats import cluster_bootstrap
from duomem_jax.memory.maintain.policies import POLICIES, Policy
from duomem_jax.memory.maintain.run import maintain
from duomem_jax.memory.store.store import Store
from duomem_jax.records.dialogues import ADVERSARIAL, Dialogue, Question
from duomem_jax.records.talked import read_dialogues
from duomem_jax.report.table import markdown_table, percent, points
from duomem_jax.speak.served.server import Server

NONE = "none"
GOOD = 0.5  # F1 from which on an answer counts as a success of what was shown
HEADER = ("policy", "memories", "words", "evidence shown %", "F1", "F1, difference")


@dataclass(frozen=True)
class Outcome:
    """What one policy left of the memories of one dialogue, and how well they answer."""

    memories: int
    words: int
    found: list[float]
    f1: list[float]


def main(
    dialogues: str, /, assistant: Assistant, out: str = "runs/maintenance", limit: int = 1000
) -> None:
    """Print a table of policies.

    Args:
        dialogues: folder of dialogues.
        assistant: who keeps the memories and answers.
        out: folder for the stores.
        limit: dialogues at most.
    """
    told = read_dialogues(dialogues)[:limit]
    outcomes: dict[str, list[Outcome]] = {name: [] for name in (NONE, *POLICIES)}
    with (
        at_work(assistant, Path(out), 0, Server()) as subject,
        Progress(len(told), assistant.name, good="", unit="dialogue") as progress,
    ):
        for dialogue in told:
            for name, outcome in maintained(subject, dialogue).items():
                outcomes[name].append(outcome)
            progress.add(True)
    print(markdown_table(HEADER, [line(n, rows, outcomes[NONE]) for n, rows in outcomes.items()]))


def maintained(subject: Subject, dialogue: Dialogue) -> dict[str, Outcome]:
    """What each policy makes of a dialogue's memories."""
    file = subject.held(dialogue)
    asked = [q for q in dialogue.questions if q.kind != ADVERSARIAL]
    used, copy = (file.with_name(f"{name}-{file.name}") for name in ("used", "maintained"))
    shutil.copyfile(file, used)
    with subject.opened(used) as store:
        credit(subject, store, asked[::2])
    outcomes = {}
    policies: list[tuple[str, Policy | None]] = [(NONE, None), *POLICIES.items()]
    for name, policy in policies:
        shutil.copyfile(used, copy)
        with subject.opened(copy) as store:
            if policy is not None:
                maintain(store, policy, dialogue.sessions[-1].at)
            outcomes[name] = outcome(subject, store, asked[1::2])
    used.unlink()
    copy.unlink()
    return outcomes


def credit(subject: Subject, store: Store, questions: Sequence[Question]) -> None:
    """Ask, and count for each memory how often it was shown with a good answer."""
    pages = subject.recalled(store, questions)
    for page, f1 in zip(pages, scores(subject, questions, pages), strict=True):
        store.credit(page.ids, f1 >= GOOD)


def outcome(subject: Subject, store: Store, questions: Sequence[Question]) -> Outcome:
    """How large a store is, and how well it answers."""
    entries, pages = list(store.entries()), subject.recalled(store, questions)
    return Outcome(
        len(entries),
        sum(len(entry.text.split()) for entry in entries),
        [page.found(q) for q, page in zip(questions, pages, strict=True)],
        scores(subject, questions, pages),
    )


def scores(subject: Subject, questions: Sequence[Question], pages: Sequence[Page]) -> list[float]:
    """F1 of the answers; what does not fit is wrong."""
    replies = subject.replies(questions, pages)
    return [
        0.0 if reply is None else locomo_f1(reply.text, key_of(q), q.kind)
        for q, reply in zip(questions, replies, strict=True)
    ]


def line(policy: str, rows: list[Outcome], none: list[Outcome]) -> list[str]:
    """A row of the table."""
    found = [f for row in rows for f in row.found if f >= 0]
    gains = [
        [b - a for a, b in zip(old.f1, new.f1, strict=True)]
        for old, new in zip(none, rows, strict=True)
    ]
    return [
        policy,
        f"{sum(row.memories for row in rows) / len(rows):.0f}",
        f"{sum(row.words for row in rows) / len(rows):,.0f}",
        f"{100 * sum(found) / len(found):.1f}",
        percent(cluster_bootstrap([row.f1 for row in rows])),
        "" if policy == NONE else points(cluster_bootstrap(gains)),
    ]


if __name__ == "__main__":
    tyro.cli(main)
