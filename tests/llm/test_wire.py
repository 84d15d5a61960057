import asyncio
from datetime import UTC, datetime

import pytest

from promptlabel.errors import ModelError
from promptlabel.llm.wire import Wire


def posting(mock_model, *scripted, number=1, timeout=0.5):
    async def run():
        async with mock_model.serving(mock_model.Behaviour(script=scripted, latency=0.01)) as server:
            wire = Wire(server.url + "/chat/completions", {"X-Mine": "1"}, timeout, 4)
            try:
                body = b'{"model": "m", "messages": [{"content": "Good?"}]}'
                bodies = await asyncio.gather(*(wire.post(body) for _ in range(number)))
            finally:
                await wire.close()
            return bodies, server.seen

    return asyncio.run(run())


def test_what_is_posted_arrives_with_its_headers(mock_model):
    (body,), seen = posting(mock_model)
    assert b'"choices"' in body
    assert b"X-Mine: 1" in seen.last_head
    assert b"application/json" in seen.last_head
    assert seen.last_head.startswith(b"POST /v1/chat/completions ")


def test_connections_are_bounded(mock_model):
    bodies, seen = posting(mock_model, number=20)
    assert (len(bodies), seen.most_open) == (20, 4)


@pytest.mark.parametrize("fault", ["headers_only", "drip"])
def test_an_answer_that_dries_up_has_half_the_time(fault, mock_model):
    async def run():
        async with mock_model.serving(mock_model.Behaviour(script=[fault])) as server:
            wire = Wire(server.url, {}, 1.0, 1)
            start = asyncio.get_running_loop().time()
            with pytest.raises(ModelError):
                await wire.post(b'{"model": "m", "messages": [{"content": "x"}]}')
            taken = asyncio.get_running_loop().time() - start
            await wire.close()
            return taken

    assert any(0.45 < asyncio.run(run()) < 0.75 for _ in range(3))


def test_a_retry_after_date_is_read_by_the_given_clock(mock_model):
    async def run():
        async with mock_model.serving(mock_model.Behaviour(script=["429_date"])) as server:
            wire = Wire(server.url, {}, 1.0, 1, now=lambda: datetime(2020, 1, 1, tzinfo=UTC))
            with pytest.raises(ModelError) as caught:
                await wire.post(b"{}")
            await wire.close()
            return caught.value.retry_after

    assert asyncio.run(run()) > 1e8


def test_a_closed_wire_opens_again(mock_model):
    async def run():
        async with mock_model.serving() as server:
            wire = Wire(server.url, {}, 1.0, 1)
            for _ in range(2):
                await wire.post(b'{"model": "m", "messages": [{"content": "x"}]}')
                await wire.close()
            await wire.close()
            return server.seen.requests

    assert asyncio.run(run()) == 2


def test_a_redirect_is_not_followed(mock_model):
    async def run():
        async def handle(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(
                b"HTTP/1.1 307 X\r\nLocation: http://elsewhere.example/\r\nContent-Length: 0\r\n\r\n"
            )
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        wire = Wire(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", {}, 1.0, 1)
        with pytest.raises(ModelError) as caught:
            await wire.post(b"{}")
        await wire.close()
        server.close()
        return caught.value.cause

    assert asyncio.run(run()) == "bad_request"


def test_a_key_that_the_server_repeats_is_not_passed_on():
    async def run():
        async def handle(reader, writer):
            await reader.readuntil(b"\r\n\r\n")
            body = b'{"error": {"message": "wrong key: s3cret-canary"}}'
            writer.write(b"HTTP/1.1 401 X\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
            await writer.drain()
            writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        wire = Wire(url, {"Authorization": "Bearer s3cret-canary"}, 1.0, 1)
        with pytest.raises(ModelError) as caught:
            await wire.post(b"{}")
        await wire.close()
        server.close()
        return str(caught.value)

    assert "canary" not in asyncio.run(run())


def test_a_pause_that_an_answer_asks_for_is_told_once():
    head = (
        b"HTTP/1.1 200 X\r\nContent-Length: 2\r\nx-ratelimit-remaining-requests: 0\r\n"
        b"x-ratelimit-limit-requests: 60\r\nx-ratelimit-reset-requests: 1m0s\r\n\r\n{}"
    )

    async def handle(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(head)
        await writer.drain()
        writer.close()

    async def run():
        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        wire = Wire(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", {}, 5.0, 1)
        await wire.post(b"{}")
        told = wire.pause(), wire.pause()
        await wire.close()
        server.close()
        return told

    assert asyncio.run(run()) == (1.0, 0.0)
