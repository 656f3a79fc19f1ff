"""JSON over HTTP with patience: the one place that talks to servers.

Overload, a server's own failures, silence, broken connections and answers that are cut off or
not of the expected form are asked again, after a pause that doubles each time (with jitter, so
that many requests do not come back together) or that the server names in `Retry-After`. What
will not change by asking again is a sentence at once. A parameter that the server does not take is
called by its other name from then on, or left out.
"""

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Generic, TypeVar

import httpx
from tenacity import (
    RetryCallState,
    Retrying,
    retry_if_exception_type,
    stop_after_attempt,
    wait_exponential_jitter,
)

from duomem_jax.base.errors import UserError
from duomem_jax.base.network import explain_connections, proxies
from duomem_jax.speak.served.refusals import OPTIONAL, Refusal
from duomem_jax.speak.served.server import Server

logger = logging.getLogger(__name__)
T = TypeVar("T")
Sleep = Callable[[int | float], None]

LONGEST_PAUSE = 600.0  # seconds; who asks for more is better asked another day
_BACKOFF = wait_exponential_jitter(initial=1, max=60, jitter=1)
_RETRIED = frozenset({408, 409, 425, 429})  # and 5xx


class MalformedError(ValueError):
    """An answer is not what was asked for; says what is wrong. The request is tried again."""


class TooLongError(Exception):
    """The server says that the request does not fit into its context; the message is its own."""


class NotSentError(Exception):
    """This request was not sent, since another has failed for good."""


class _AgainError(Exception):
    """This attempt failed; another may not."""

    def __init__(self, why: str, remedy: str, pause: float | None = None):
        super().__init__(why)
        self.remedy, self.pause = remedy, pause


@dataclass(frozen=True)
class Answer(Generic[T]):
    """A good answer.

    Attributes:
        value: what the reader made of it.
        body: its JSON.
        attempts: how often the request was sent.
    """

    value: T
    body: Any
    attempts: int


class Client:
    """Posts requests to one server; many threads may do so at once.

    Args:
        sleep: how pauses are made; by default they end early when the client is stopped.

    Raises:
        UserError: a bad address or key, or a proxy or certificates that cannot be used.
    """

    def __init__(self, server: Server, *, sleep: Sleep | None = None):
        self._server, self._stopped = server, threading.Event()
        self._not_taken: frozenset[str] = frozenset()  # of the `OPTIONAL` parameters
        self._lock = threading.Lock()
        self._sleep = sleep or self._wait
        self._pace = _Pace(server.per_minute, self._sleep)
        self._key = server.key()
        # httpx applies the timeout to each wait for bytes, not to the whole answer, and by default
        # keeps only 20 connections alive.
        with explain_connections():
            self._http = httpx.Client(
                timeout=server.timeout,
                headers={"Authorization": f"Bearer {self._key}"} if self._key else {},
                limits=httpx.Limits(
                    max_connections=server.concurrency, max_keepalive_connections=server.concurrency
                ),
            )

    def _wait(self, seconds: float) -> None:
        self._stopped.wait(seconds)

    def post(self, path: str, body: dict[str, Any], read: Callable[[Any], T]) -> Answer[T]:
        """Ask until there is a good answer.

        Args:
            path: after the server's address, such as `chat/completions`.
            body: JSON of the request.
            read: takes an answer's JSON apart; raises MalformedError on a bad one.

        Raises:
            UserError: the server refuses, or no attempt brought a good answer.
            TooLongError: the request does not fit into the server's context.
            NotSentError: `stop` was called.
        """
        url = f"{self._server.address}/{path}"
        # With `reraise` the last error comes as it is, not inside tenacity's own.
        retrying = Retrying(
            retry=retry_if_exception_type(_AgainError),
            stop=stop_after_attempt(self._server.attempts),
            wait=_pause,
            sleep=self._sleep,
            reraise=True,
        )
        try:
            value, answer = retrying(self._once, url, body, read)
        except _AgainError as e:
            raise UserError(f"{url}: {e} in {self._server.attempts} attempts; {e.remedy}") from e
        return Answer(value, answer, retrying.statistics["attempt_number"])

    def stop(self) -> None:
        """Send nothing more; requests under way get their answer."""
        self._stopped.set()

    def resume(self) -> None:
        """Send again after a `stop`."""
        self._stopped.clear()

    def close(self) -> None:
        """Close all connections."""
        self._http.close()

    def _once(self, url: str, body: dict[str, Any], read: Callable[[Any], T]) -> tuple[T, Any]:
        while True:
            sent = self._adapted(body)
            reply = self._send(url, sent)
            if reply.is_success:
                return self._read(reply, body, read)
            refusal = Refusal.of(reply.status_code, reply.text)
            if not (name := refusal.not_taken(sent)):
                raise self._refused(url, body, reply, refusal)
            # Each time round there is one parameter less, so this ends.
            self._take_note(name, str(body.get("model")))

    def _adapted(self, body: dict[str, Any]) -> dict[str, Any]:
        """The request in this server's words; an answer is kept under `body` as it is."""
        skipped = self._not_taken
        renamed = {OPTIONAL[name] if name in skipped else name: v for name, v in body.items()}
        return {name: value for name, value in renamed.items() if name is not None}

    def _take_note(self, name: str, model: str) -> None:
        with self._lock:
            # Many requests under way are refused for the same reason.
            if name in self._not_taken:
                return
            self._not_taken |= {name}
        other = OPTIONAL[name]
        done = f"asking with {other}" if other else f"asking without {name}, by its own default"
        logger.info("%s does not take %s: %s", model, name, done)

    def _send(self, url: str, body: dict[str, Any]) -> httpx.Response:
        self._pace.wait()
        # After the wait for its turn, which a stop ends early.
        if self._stopped.is_set():
            raise NotSentError
        try:
            return self._http.post(url, json=body)
        # All that ends without an answer: timeouts, refused connections, answers that break off.
        except httpx.RequestError as e:
            why = f"no answer ({type(e).__name__}: {e})"
            if "CERTIFICATE_VERIFY_FAILED" in str(e):
                remedy = "name a file with the certificate of whoever signed the server's"
                raise UserError(f"{url}: {why}; {remedy} in SSL_CERT_FILE") from e
            remedy = "check the address and whether the server runs"
            # A proxy that is not there looks like a server that is not there.
            if found := proxies():
                remedy += f", and the proxy in {' and '.join(found)}"
            raise _AgainError(why, remedy) from e

    def _read(
        self, reply: httpx.Response, body: dict[str, Any], read: Callable[[Any], T]
    ) -> tuple[T, Any]:
        try:
            answer = reply.json()
            return read(answer), answer
        # MalformedError and JSON's own error are ValueErrors; JSON nested too deep is the other.
        except (ValueError, RecursionError) as e:
            # Some servers send their refusals as if all were well.
            refusal = Refusal.of(reply.status_code, reply.text)
            if refusal.is_too_long(body):
                raise TooLongError(refusal.message) from e
            remedy = "check that the address is an OpenAI-compatible server"
            raise _AgainError(f"malformed answer ({e})", remedy) from e

    def _refused(
        self, url: str, body: dict[str, Any], reply: httpx.Response, refusal: Refusal
    ) -> Exception:
        if refusal.is_too_long(body):
            return TooLongError(self._shown(refusal.message))
        why, status = f"status {reply.status_code} ({self._shown(reply.text)!r})", reply.status_code
        if status in _RETRIED or status >= 500:
            pause = _retry_after(reply.headers.get("retry-after", ""))
            # Beyond the limit it falls through: a command that sleeps for hours looks hung.
            if pause is None or pause <= LONGEST_PAUSE:
                remedy = "run the same command again later, or ask less at once (server.per_minute)"
                return _AgainError(why, remedy, pause)
            why += f", to be asked again in {pause:.0f} s"
        return UserError(
            f"{url}: {why}; check the address, the key and the model {body.get('model')!r}"
        )

    def _shown(self, text: str) -> str:
        """The beginning of what a server says, in one line."""
        said = " ".join(text.split())[:300]
        # Some servers quote the key that they refuse.
        return said.replace(self._key, "***") if self._key else said


def _pause(state: RetryCallState) -> float:
    """Seconds before the next attempt."""
    error = state.outcome and state.outcome.exception()
    if isinstance(error, _AgainError) and error.pause is not None:
        # Jitter here too, as all requests that were turned away together were told the same time.
        return error.pause + random.uniform(0, 1)
    return _BACKOFF(state)


def _retry_after(header: str) -> float | None:
    """Seconds of a `Retry-After` header, which holds a number or a date (RFC 9110, 10.2.3)."""
    try:
        return max(float(header), 0.0)
    except ValueError:
        pass
    try:
        return max(parsedate_to_datetime(header).timestamp() - time.time(), 0.0)
    except ValueError:
        return None


class _Pace:
    """Lets callers through one by one, evenly spaced."""

    def __init__(self, per_minute: int, sleep: Sleep):
        self._interval = 60 / per_minute if per_minute else 0.0
        self._sleep, self._lock = sleep, threading.Lock()
        self._next = 0.0

    def wait(self) -> None:
        if not self._interval:
            return
        # Each caller books its time under the lock and sleeps outside it, beside the others.
        with self._lock:
            now = time.monotonic()
            start = max(now, self._next)
            self._next = start + self._interval
        if start > now:
            self._sleep(start - now)
