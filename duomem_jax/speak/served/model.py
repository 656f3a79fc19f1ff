"""A served model that is asked many things at once."""

import hashlib
import json
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from duomem_jax.base.errors import UserError
from duomem_jax.speak.served.http import Client, MalformedError, NotSentError, Sleep, TooLongError
from duomem_jax.speak.served.ledger import Ledger
from duomem_jax.speak.served.server import Server

logger = logging.getLogger(__name__)
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

AHEAD = 4  # requests taken from the caller for each one under way, so that a slow one blocks none


@dataclass(frozen=True)
class Request(Generic[T_co]):
    """One question.

    Attributes:
        path: after the server's address, such as `chat/completions`.
        body: its JSON; equal (path, body) are one question, asked and paid once.
        read: takes an answer's JSON apart; raises MalformedError on a bad one.
    """

    path: str
    body: dict[str, Any]
    read: Callable[[Any], T_co]

    @property
    def key(self) -> str:
        """Name of the question."""
        # Without the server's address: answers that were paid stay good when a model moves.
        text = json.dumps([self.path, self.body], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()


class ServedModel:
    """Asks concurrently, answers in order; a context manager.

    Good answers are stored as they come (see `Ledger`), also those of an earlier run that was
    killed, and read from there when the same is asked again.

    Attributes:
        name: of the model, as the server knows it.
    """

    def __init__(self, name: str, server: Server, record: Path, *, sleep: Sleep | None = None):
        """Get ready; nothing is sent yet.

        Args:
            name: of the model.
            server: where and how hard to ask.
            record: path whose `.answers` and `.usage.json` belong to this stage.
            sleep: how pauses are made.

        Raises:
            UserError: a bad address, a missing key, or the record is in use.
        """
        self.name, self._server = name, server
        self._client = Client(server, sleep=sleep)
        self.ledger = Ledger(record, name, server)
        self._pool = ThreadPoolExecutor(server.concurrency, thread_name_prefix="served")
        self._pending: dict[str, Future] = {}
        self._failure: Exception | None = None
        self._said_too_long = False
        self._lock = threading.Lock()

    def __enter__(self) -> "ServedModel":
        return self

    def __exit__(self, *exc_info: object) -> None:
        # In this order: until the pool has ended, its threads use the connections and the ledger,
        # and the bill is read from the ledger.
        self._client.stop()
        self._pool.shutdown(cancel_futures=True)
        self._client.close()
        bill = self.ledger.bill
        self.ledger.close()
        logger.info("%s: %s", self.name, bill)

    def ask(self, requests: Iterable[Request[T]]) -> Iterator[T | None]:
        """What each request's answer says, in their order; None: too long for the server.

        Requests are taken as answers are. After the first that fails for good nothing more is
        sent; answers still under way are stored before it is raised. A caller who leaves early
        waits for those under way, too, and may ask again.

        Raises:
            UserError: the server refuses one, or does not answer it.
        """
        waiting: deque[tuple[Request[T], Future]] = deque()
        try:
            for request in requests:
                # Only so many ahead: a caller's requests may come from more than memory holds.
                waiting.append((request, self._begin(request)))
                if len(waiting) == AHEAD * self._server.concurrency:
                    yield self._result(*waiting.popleft())
            while waiting:
                value = self._result(*waiting.popleft())
                if not waiting:
                    self.ledger.save()  # before the caller can call its work finished
                yield value
        finally:
            if waiting:
                self._leave([future for _, future in waiting])

    def _leave(self, futures: list[Future]) -> None:
        """Send none of these that has not been; those under way are paid for and are stored."""
        self._client.stop()
        for future in futures:
            future.cancel()
        wait(futures)
        # A failure is for good, the end of a caller's interest is not.
        if self._failure is None:
            self._client.resume()

    def _begin(self, request: Request[T]) -> "Future[T | None]":
        key = request.key
        # In this order: an answer is stored before its future leaves `_pending`.
        if (pending := self._pending.get(key)) is not None:
            return pending
        # A future all the same, so that stored answers keep their place among those to come.
        if (body := self.ledger.find(key)) is not None:
            stored: Future[T | None] = Future()
            stored.set_result(self._read_stored(request, body))
            return stored
        future = self._pending[key] = self._pool.submit(self._fetch, key, request)
        future.add_done_callback(lambda _: self._pending.pop(key, None))
        return future

    def _fetch(self, key: str, request: Request[T]) -> T | None:
        try:
            answer = self._client.post(request.path, request.body, request.read)
            # Stored before the caller sees it: whatever was built on an answer can be built again.
            self.ledger.keep(key, answer.body, answer.attempts)
            return answer.value
        # Nothing is stored of it: another run asks again, perhaps a server with a longer context.
        except TooLongError as e:
            self._say_too_long(e)
            return None
        except Exception as e:
            with self._lock:
                # The first real failure is what the user must read; the others follow from it.
                if not isinstance(e, NotSentError):
                    self._failure = self._failure or e
            self._client.stop()
            raise

    def _say_too_long(self, why: TooLongError) -> None:
        # Once: it is how long games end. But who gave a limit by mistake loses all of them.
        with self._lock:
            said, self._said_too_long = self._said_too_long, True
        if not said:
            logger.info("%s: a request is too long for the server, which says: %s", self.name, why)

    def _result(self, request: Request[T], future: "Future[T | None]") -> T | None:
        try:
            return future.result()
        except (NotSentError, CancelledError):
            # Answers are taken in order, so a request that was never sent may be met before the one
            # that failed; the failure is raised in its place.
            if self._failure is not None:
                raise self._failure from None
            # Another caller who asked the same has left: for this one it is asked again.
            return self._result(request, self._begin(request))

    def _read_stored(self, request: Request[T], body: Any) -> T:
        try:
            return request.read(body)
        except MalformedError as e:
            raise UserError(
                f"{self.ledger.path}: a stored answer is of another version ({e}); delete the file "
                "to ask again"
            ) from e
