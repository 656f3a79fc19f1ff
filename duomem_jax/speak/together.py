"""One model that many threads ask: what they ask at the same time is answered in one batch.

A small model on a processor takes little longer for eight rows than for one, since all of them need
the same weights read. Work that asks one question after the other can therefore go side by side,
with a thread for each piece of it, and be written as if it were alone.
"""

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from duomem_jax.records.chat import Chat
from duomem_jax.speak.protocol import Conversations, Reply, Request, Sampling, Speaker

Item = TypeVar("Item")
Made = TypeVar("Made")
SIDE_BY_SIDE = 16  # more than a batch has rows, as some wait for what is not the model


@dataclass(eq=False)
class _Asked:
    """What one thread waits for.

    Attributes:
        requests: in their order.
        replies: to them; None while there are none.
        error: why there will be none.
    """

    requests: Sequence[Request]
    replies: Sequence[Reply | None] | None = None
    error: BaseException | None = None


class Together:
    """A model that answers once all threads at work have asked something; a `Speaker`.

    Attributes:
        name: of the model.
    """

    def __init__(self, speaker: Speaker):
        """Answer as `speaker` does."""
        self.name = speaker.name
        self._speaker = speaker
        self._changed = threading.Condition()
        self._waiting: list[_Asked] = []
        self._threads = 0  # at work
        self._busy = self._stopped = False

    def identity(self) -> dict[str, Any]:
        """That of the model: what is asked beside a question changes no reply."""
        return self._speaker.identity()

    @property
    def sees(self) -> bool:
        """Whether the model does."""
        return self._speaker.sees

    @contextlib.contextmanager
    def at_work(self) -> Iterator[None]:
        """For as long as a thread may ask something; others wait for it until then."""
        with self._changed:
            self._threads += 1
        try:
            yield
        finally:
            with self._changed:
                self._threads -= 1
                self._changed.notify_all()

    def map(self, work: Callable[[Item], Made], items: Sequence[Item]) -> Iterator[Made]:
        """What becomes of each item, in order, while several are worked on side by side.

        Args:
            work: on one item; it asks this model, in a thread of its own.
            items: which.
        """

        def one(item: Item) -> Made:
            with self.at_work():
                return work(item)

        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            try:
                yield from pool.map(one, items)
            except BaseException:
                # Leaving the block would wait for all items before the error, or Ctrl-C, is seen.
                self.stop()
                pool.shutdown(cancel_futures=True)
                raise

    def stop(self) -> None:
        """End the work of all threads: who asks, now or later, gets a `CancelledError`."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def reply(self, chats: Iterable[Chat], how: Sampling) -> Iterator[Reply | None]:
        """One reply to each chat, in order."""
        return self.answer(Request(chat, how) for chat in chats)

    def answer(self, requests: Iterable[Request]) -> Iterator[Reply | None]:
        """One reply to each request, in order, once there is one to all of them.

        Raises:
            CancelledError: as `stop` says.
            UserError: as the model's `answer`.
        """
        asked = _Asked(list(requests))
        if not asked.requests:
            return iter(())
        with self._changed:
            self._waiting.append(asked)
            self._changed.notify_all()
            while asked.replies is None and asked.error is None:
                if self._stopped:
                    raise CancelledError
                # Threads that are not at work ask now and then, and do not wait for each other.
                if not self._busy and len(self._waiting) >= self._threads:
                    self._answer_all()
                else:
                    self._changed.wait()
        if asked.error is not None:
            raise asked.error
        assert asked.replies is not None
        return iter(asked.replies)

    def _answer_all(self) -> None:
        """Answer everything that waits; the lock is held, and let go meanwhile."""
        batch, self._waiting, self._busy = self._waiting, [], True
        self._changed.release()
        error: BaseException | None = None
        replies: list[Reply | None] = []
        try:
            replies = list(self._speaker.answer(r for asked in batch for r in asked.requests))
        except BaseException as e:
            error = e
        finally:
            self._changed.acquire()
        for asked in batch:
            count = len(asked.requests)
            asked.replies, replies, asked.error = replies[:count], replies[count:], error
        self._busy = False
        self._changed.notify_all()

    def conversations(self, slots: int | None, how: Sampling) -> Conversations:
        """Chats that go on, which nothing else is asked beside."""
        return self._speaker.conversations(slots, how)
