"""Where the time went, counted with a clock of our own."""

import pytest

from duomem_jax.train.watch.goodput import KINDS, Stopwatch, summary


@pytest.fixture
def clock():
    class Clock:
        now = 100.0

        def __call__(self):
            return self.now

    return Clock()


def test_every_second_counts_once_and_inner_blocks_count_for_themselves(clock):
    watch = Stopwatch(clock)
    clock.now += 5  # init
    watch.switch("step")
    clock.now += 2
    with watch.during("checkpoint"):
        clock.now += 3
        with watch.during("eval"):
            clock.now += 7
        clock.now += 1
    clock.now += 4
    seconds = watch.seconds()
    assert tuple(seconds) == KINDS
    assert seconds == {
        "init": 5, "compile": 0, "data": 0, "step": 6, "checkpoint": 4, "eval": 7
    }  # fmt: skip
    assert summary(seconds) == "22.0 s, 27% of it steps (init 5.0 s, checkpoint 4.0 s, eval 7.0 s)"


def test_an_error_inside_a_block_does_not_lose_count(clock):
    watch = Stopwatch(clock)

    def fail():
        clock.now += 2
        raise KeyError

    with pytest.raises(KeyError), watch.during("data"):
        fail()
    clock.now += 1
    assert watch.seconds() | {"init": 1, "data": 2} == watch.seconds()
