"""Windows against the rendered episodes they were cut from."""

import dataclasses
import zlib

import numpy as np
import pytest

from duomem_jax.evals.audit.windows import HELD_OUT, SETS, TEMPLATE, TRAIN, cut_windows, sort_out
from duomem_jax.models.shipped import model_folder
from duomem_jax.records.episodes import Episode, Turn
from duomem_jax.text.tokenizer import chat_tokens, load_tokenizer
from duomem_jax.text.turns import episode_messages

P, S = 12, 7


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(model_folder("tiny-student"))


def episode(i, seed=0, turns=6, success=True):
    first = f"You are in room {i}, with walls of colour {i * i}.\n\nYour task is to: look."
    steps = [Turn(first, f"Room {i} again.", "look")]
    steps += [Turn(f"You see wall {i + k}.", "So what.", f"go to wall {k}") for k in range(turns)]
    return Episode(f"g{i}", "look.", "t", tuple(steps), "", float(success), "p", seed, "w", "e")


def cut(tokenizer, episodes, **options):
    return list(cut_windows(episodes, tokenizer, **{"prefix": P, "suffix": S} | options))


@pytest.mark.parametrize("system", ["", "You are a household robot."])
def test_cut_windows_suffixes_tile_the_episode(tokenizer, system):
    episodes = [episode(i, turns=2 + i) for i in range(4)]
    windows = cut(tokenizer, episodes, system=system)
    for e in episodes:
        messages = episode_messages(e, system=system)
        ids, mask, _ = chat_tokens(tokenizer).conversations([messages])[0]
        own = [w for w in windows if w.game_id == e.game_id]
        assert [w.start for w in own] == list(range(0, len(ids) - P - S + 1, S))
        assert 0 <= len(ids) - (own[-1].start + P + S) < S  # what is left is less than a suffix
        for w in own:
            assert w.tokens.tolist() == ids[w.start : w.start + P + S]
            assert w.written.tolist() == [m == 1 for m in mask[w.start + P : w.start + P + S]]
            text = tokenizer.decode(w.suffix.tolist())
            assert w.zlib_bytes == len(zlib.compress(text.encode()))
        suffixes = np.concatenate([w.suffix for w in own]).tolist()
        assert suffixes == ids[P : P + len(suffixes)]
    assert any(w.written.any() and not w.written.all() for w in windows)


def test_cut_windows_skips_lost_and_short_episodes(tokenizer):
    assert cut(tokenizer, [episode(1, success=False)]) == []
    assert cut(tokenizer, [episode(1)], prefix=400) == []
    assert cut(tokenizer, []) == []


def test_cut_windows_begins_each_prefix_with_the_begin_token(tokenizer):
    class Begins:
        """The tokenizer as if its turns' first token were a begin token."""

        bos_token_id = chat_tokens(tokenizer).first("x")[0]

        def __getattr__(self, name):
            return getattr(tokenizer, name)

        def __call__(self, *args, **options):
            return tokenizer(*args, **options)

    plain, begins = cut(tokenizer, [episode(3)]), cut(Begins(), [episode(3)])
    assert {len(w.tokens) for w in plain} == {P + S}
    assert {len(w.tokens) for w in begins} == {1 + P + S}
    assert {w.tokens[0] for w in begins} == {Begins.bos_token_id}
    assert [w.start for w in begins] == [1 + S * k for k in range(len(begins))]
    whole = chat_tokens(tokenizer).conversations([episode_messages(episode(3))])[0][0]
    for w in begins:
        assert w.tokens[1:].tolist() == whole[w.start : w.start + P + S]


def test_sort_out_counts_each_suffix_once_and_shared_ones_as_template(tokenizer):
    # Seed 1 repeats the words of seed 0 in the same game; games differ in some of theirs only.
    train = cut(tokenizer, [episode(i, seed) for i in range(5) for seed in range(2)])
    held_out = cut(tokenizer, [episode(i) for i in range(5, 9)])
    sets = sort_out(train, held_out)
    assert tuple(sets) == SETS
    games = {}
    for w in train + held_out:
        games.setdefault(tuple(w.suffix), set()).add(w.game_id)
    for name, own in ((TRAIN, range(5)), (HELD_OUT, range(5, 9))):
        assert sets[name]
        assert all(games[tuple(w.suffix)] == {w.game_id} for w in sets[name])
        assert {w.game_id for w in sets[name]} <= {f"g{i}" for i in own}
    assert sets[TEMPLATE]
    assert all(len(games[tuple(w.suffix)]) > 1 for w in sets[TEMPLATE])
    everything = [tuple(w.suffix) for windows in sets.values() for w in windows]
    assert sorted(everything) == sorted(games)


def test_sort_out_with_sides_swapped(tokenizer):
    a = cut(tokenizer, [episode(i) for i in range(4)])
    b = cut(tokenizer, [episode(i) for i in range(4, 9)])
    one, other = sort_out(a, b), sort_out(b, a)
    assert one[TRAIN] == other[HELD_OUT]
    assert one[HELD_OUT] == other[TRAIN]
    assert {tuple(w.suffix) for w in one[TEMPLATE]} == {tuple(w.suffix) for w in other[TEMPLATE]}


def test_sort_out_spreads_the_limit_evenly(tokenizer):
    windows = [
        dataclasses.replace(w, game_id=f"{k}")
        for k, w in enumerate(cut(tokenizer, [episode(i) for i in range(30)], prefix=5, suffix=3))
    ]
    few = sort_out(windows, [], limit=8)[TRAIN]
    every = sort_out(windows, [])[TRAIN]
    assert [every.index(w) for w in few] == [k * len(every) // 8 for k in range(8)]
    assert sort_out(windows, [], limit=len(every))[TRAIN] == every
