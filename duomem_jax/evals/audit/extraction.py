"""What the models of an audit reproduce, and how much more of it on games they learnt from.

Two criteria: `extractable` is that of arXiv 2601.15394, the whole suffix; `replayed` asks for the
player's tokens of the suffix alone, since students are trained on no others. Neither can tell
knowing an episode by heart from knowing how to play: that is what held-out games are for.
Games are what is drawn: bootstraps keep all windows and seeds of a game together.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from duomem_jax.evals.audit.memorization import Score
from duomem_jax.evals.audit.scores import AuditScores, Seeds
from duomem_jax.evals.audit.subjects import BASE
from duomem_jax.evals.audit.windows import HELD_OUT, TRAIN
from duomem_jax.evals.stats import Interval, cluster_bootstrap, difference_bootstrap, wilson

CRITERIA: dict[str, Callable[[Score], bool]] = {
    "extractable": lambda s: s.extractable,
    "replayed": lambda s: s.replayed,
}
MEASURES: dict[str, Callable[[Score], float | None]] = {
    "extractable": lambda s: s.extractable,
    "replayed": lambda s: s.replayed if s.written else None,
    "nats": lambda s: s.nats / s.suffix,
    "written_nats": lambda s: s.written_nats / s.written if s.written else None,
}


@dataclass(frozen=True)
class Extraction:
    """What one model reproduces of one set of windows.

    Attributes:
        windows: W, and in how many `games`.
        seeds: A, adapters of this name.
        extractable: windows, for each seed.
        rate: share of extractable windows; Wilson for one seed, bootstrap over games for several.
        replayed: share of replayed windows among those where the player writes; None: it never
            does.
        matched: mean tokens before the first that is not the likeliest.
        nats: per token of the suffix, mean over windows.
        written_nats: per token that the player wrote, mean over windows; None as above.
        zlib_bytes: of a suffix, mean.
        zlib_extractable: the same of the extractable ones; None: there are none.
    """

    model: str
    set: str
    windows: int
    games: int
    seeds: int
    extractable: tuple[int, ...]
    rate: Interval
    replayed: Interval | None
    matched: float
    nats: float
    written_nats: float | None
    zlib_bytes: float
    zlib_extractable: float | None


@dataclass(frozen=True)
class Gap:
    """Mean over training windows minus mean over held-out windows; None: nothing varies.

    Attributes:
        model: whose; "x - base" is the gap of the difference between x and the base, which takes
            out what makes one set of windows harder than the other.
    """

    model: str
    extractable: Interval | None
    replayed: Interval | None
    nats: Interval | None
    written_nats: Interval | None


def summarize_extraction(scores: AuditScores) -> list[Extraction]:
    """One summary for each model and set; sets without windows are omitted."""
    return [
        _extraction(one.model, name, seeds)
        for one in scores.models
        for name, seeds in one.sets.items()
        if seeds[0]
    ]


def gaps(scores: AuditScores) -> list[Gap]:
    """The gap of each model, and of each but the base its gap relative to the base."""
    result = []
    for one in scores.models:
        result.append(_gap(one.model, one.sets, {}))
        if one.model != BASE:
            result.append(_gap(f"{one.model} - {BASE}", one.sets, scores.base.sets))
    return result


def hits(seeds: Seeds, criterion: str) -> np.ndarray:
    """bool[n,W]: which windows each seed reproduces."""
    return np.array([[CRITERIA[criterion](s) for s in rows] for rows in seeds], bool)


def counts(hits_nW: np.ndarray) -> tuple[int, ...]:
    """Windows that each seed reproduces."""
    return tuple(hits_nW.sum(1).tolist())


def rate(hits_nW: np.ndarray, games_W: Iterable[str]) -> Interval:
    """Share of windows; Wilson for one seed, bootstrap over games for several.

    Raises:
        ValueError: no window.
    """
    n, W = hits_nW.shape
    if n == 1 or hits_nW.all() or not hits_nW.any():  # resampling would claim certainty
        return wilson(int(hits_nW[0].sum()), W)
    # All windows of a game and all seeds of a window are drawn together.
    clusters: dict[str, list[float]] = defaultdict(list)
    for game, hits_n in zip(games_W, hits_nW.T.tolist(), strict=True):
        clusters[game] += hits_n
    return cluster_bootstrap(list(clusters.values()))


def _extraction(model: str, name: str, seeds: Seeds) -> Extraction:
    # All seeds together for means; what is counted is counted seed by seed.
    rows = [s for one in seeds for s in one]
    games_W = np.array([s.game_id for s in seeds[0]])
    # A suffix without a word of the player is replayed by nobody, and says nothing.
    writes_W = np.array([s.written > 0 for s in seeds[0]])
    extractable_nW, replayed_nW = hits(seeds, "extractable"), hits(seeds, "replayed")[:, writes_W]
    written = [s.written_nats / s.written for s in rows if s.written]
    found = [s.zlib_bytes for s in rows if s.extractable]
    return Extraction(
        model=model,
        set=name,
        windows=len(games_W),
        games=len(set(games_W)),
        seeds=len(seeds),
        extractable=counts(extractable_nW),
        rate=rate(extractable_nW, games_W),
        replayed=rate(replayed_nW, games_W[writes_W]) if writes_W.any() else None,
        matched=_mean([s.matched for s in rows]),
        nats=_mean([s.nats / s.suffix for s in rows]),
        written_nats=_mean(written) if written else None,
        zlib_bytes=_mean([s.zlib_bytes for s in seeds[0]]),
        zlib_extractable=_mean(found) if found else None,
    )


def _gap(model: str, sets: Mapping[str, Seeds], base: Mapping[str, Seeds]) -> Gap:
    gap: dict[str, Interval | None] = {}
    for measure, value in MEASURES.items():
        # Not the template set, whose suffixes are no game's own.
        sides = [_by_game(sets[name], base.get(name), value) for name in (TRAIN, HELD_OUT)]
        # Where all values are equal a bootstrap would claim certainty, so there is no interval.
        varies = len({v for side in sides for game in side for v in game}) > 1
        gap[measure] = difference_bootstrap(*sides) if varies and all(sides) else None
    return Gap(model, **gap)


def _by_game(
    seeds: Seeds, base: Seeds | None, value: Callable[[Score], float | None]
) -> list[list[float]]:
    """The values of each game's windows, mean over seeds, minus the base's if there is one."""
    games: dict[str, list[float]] = defaultdict(list)
    # Seeds of a window are averaged first: games are what is drawn, and seeds are not games.
    for w, rows in enumerate(zip(*seeds, strict=True)):
        values = [v for v in map(value, rows) if v is not None]
        if values:
            # Window by window: windows are in the same order for all models. The base has one seed.
            below = (value(base[0][w]) if base else 0.0) or 0.0
            games[rows[0].game_id].append(_mean(values) - below)
    return list(games.values())


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))
