"""Threads that ask one model: batches are shared, replies are those of asking alone."""

import threading
from concurrent.futures import CancelledError, ThreadPoolExecutor

import pytest

from duomem_jax.base.errors import UserError
from duomem_jax.records import chat
from duomem_jax.speak.open import open_speaker
from duomem_jax.speak.protocol import Request, Sampling
from duomem_jax.speak.together import Together

HOW = Sampling(max_new=6)
NAMES = ("mug", "plate", "apple", "knife", "fork")


class Counted:
    """A speaker, and how many requests each of its calls had."""

    def __init__(self, speaker):
        self.name, self._speaker, self.calls = "counted", speaker, []

    def identity(self):
        return self._speaker.identity()

    def answer(self, requests):
        requests = list(requests)
        self.calls.append(len(requests))
        return self._speaker.answer(requests)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    record = tmp_path_factory.mktemp("record")
    with open_speaker("tiny-student", record=record) as speaker:
        yield speaker


def talk(speaker, name, turns=3):
    """A talk whose each question follows from the reply before it."""
    said = [chat.user(f"Find the {name}.")]
    for _ in range(turns):
        (reply,) = speaker.answer([Request(list(said), HOW)])
        said += [chat.assistant(reply.text), chat.user("And then?")]
    return said


def test_threads_share_batches_and_get_the_replies_of_asking_alone(model):
    alone = [talk(model, name) for name in NAMES]
    counted = Counted(model)
    together = Together(counted)
    ready = threading.Barrier(len(NAMES))

    def work(name):
        with together.at_work():
            ready.wait()
            return talk(together, name)

    with ThreadPoolExecutor(len(NAMES)) as pool:
        assert list(pool.map(work, NAMES)) == alone
    assert counted.calls == [len(NAMES)] * 3


def test_nobody_waits_for_a_thread_whose_work_is_done(model):
    counted = Counted(model)
    together = Together(counted)
    ready = threading.Barrier(2)

    def work(turns):
        with together.at_work():
            ready.wait()
            return talk(together, "mug", turns)

    with ThreadPoolExecutor(2) as pool:
        short, long = pool.map(work, [1, 3])
    assert counted.calls == [2, 1, 1]
    assert long[: len(short)] == short


def test_who_is_not_at_work_is_answered_at_once(model):
    together = Together(model)
    assert talk(together, "mug") == talk(model, "mug")
    assert list(together.answer([])) == []


def test_an_error_of_the_model_reaches_all_that_wait(model):
    together = Together(model)
    ready = threading.Barrier(2)

    def work(request):
        with together.at_work():
            ready.wait()
            with pytest.raises(UserError, match="schema") as error:
                together.answer([request])
            return error.value

    fine = Request([chat.user("Find the mug.")], HOW)
    bad = Request([chat.user("Find the mug.")], Sampling(max_new=6, schema={"type": "nonsense"}))
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(work, [fine, bad])
    assert first is second


def test_stopping_ends_the_wait_of_all_threads(model):
    together = Together(model)
    idle = threading.Event()

    def waiting():
        with together.at_work():
            return list(together.answer([Request([chat.user("Find the mug.")], HOW)]))

    def other():
        with together.at_work():
            idle.wait()

    with ThreadPoolExecutor(2) as pool:
        busy = pool.submit(other)
        while not together._threads:
            pass
        asked = pool.submit(waiting)
        together.stop()
        with pytest.raises(CancelledError):
            asked.result(timeout=30)
        idle.set()
        busy.result(timeout=30)
