"""One connection pool to one endpoint: bytes out, bytes in; whoever asks sets the deadline on the whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING
from urllib.request import getproxies_environment

from promptlabel.errors import ModelError
from promptlabel.llm.failures import UnusableAnswerError, from_response, wait_for_room

if TYPE_CHECKING:
    import aiohttp

_CONNECTING = 10.0


def _now() -> datetime:
    return datetime.now(UTC)


class Wire:
    """Posts JSON to one address; the session is made at the first post, inside the running loop.

    Args:
        url: the whole address.
        headers: sent with every request.
        timeout: seconds that a whole request has; half of them for the rest of an answer that has begun.
        connections: the most that are open at once.
        now: what time it is, for a Retry-After given as a date.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        timeout: float,
        connections: int,
        now: Callable[[], datetime] = _now,
    ) -> None:
        self._url = url
        self._headers = {"Content-Type": "application/json", **headers}
        self._timeout = timeout
        self._connections = connections
        self._now = now
        self._session: aiohttp.ClientSession | None = None
        self._pause = 0.0

    async def post(self, body: bytes) -> bytes:
        """The body of the server's answer.

        Raises:
            ModelError: another status than 200, no connection, or an answer that broke off or dried up.
        """
        import aiohttp

        session = self._session or self._open()
        try:
            async with session.post(self._url, data=body, allow_redirects=False) as response:
                received = await self._read(response)
        except (aiohttp.ClientError, OSError) as error:
            raise self._failure(error) from None
        if "x-ratelimit-remaining-requests" in response.headers:
            self._pause = max(self._pause, wait_for_room(response.headers))
        if response.status != 200:
            raise from_response(response.status, response.headers, self._without_key(received), self._now())
        return received

    def pause(self) -> float:
        """Seconds that answers since the last call asked to leave before the next request."""
        pause, self._pause = self._pause, 0.0
        return pause

    async def close(self) -> None:
        """Nothing; the connections are closed."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()
            await asyncio.sleep(0)

    def _failure(self, error: Exception) -> ModelError:
        """The error for an exception of the connection; what may have been charged is an UnusableAnswerError."""
        import aiohttp

        match error:
            case aiohttp.InvalidURL():
                return ModelError(
                    f"{self._url} is no address: check `api_base`", cause="bad_address", permanent=True
                )
            case aiohttp.ClientConnectorError() | aiohttp.ConnectionTimeoutError():
                return ModelError(f"no connection to {self._url}: {error}", cause="connection")
            case TimeoutError():
                return UnusableAnswerError(f"the answer dried up within {self._timeout:g} s", cause="timeout")
            case aiohttp.ClientPayloadError():
                return UnusableAnswerError(f"the answer broke off: {error}", cause="malformed_body")
        return UnusableAnswerError(f"the connection broke: {error!r}", cause="connection")

    async def _read(self, response: aiohttp.ClientResponse) -> bytes:
        if response.content.is_eof():
            return await response.read()
        async with asyncio.timeout(self._timeout / 2):
            return await response.read()

    def _without_key(self, received: bytes) -> bytes:
        """A server's words as they may be stored and shown: some repeat the key that they refuse."""
        key = self._headers.get("Authorization", "").removeprefix("Bearer ")
        return received.replace(key.encode(), b"***") if key else received

    def _open(self) -> aiohttp.ClientSession:
        import aiohttp

        self._session = aiohttp.ClientSession(
            headers=self._headers,
            connector=aiohttp.TCPConnector(limit=self._connections, limit_per_host=0, keepalive_timeout=60),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=min(_CONNECTING, self._timeout)),
            trust_env=bool(getproxies_environment()),
        )
        return self._session
