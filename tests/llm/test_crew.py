import asyncio

import pytest

from promptlabel.llm.crew import Crew


def test_all_workers_do_the_work(fly):
    done = []

    async def run():
        crew = Crew()

        async def work():
            await asyncio.sleep(1)
            done.append(1)

        await crew.run(5, work)

    fly(run())
    assert len(done) == 5


def test_the_first_exception_ends_all(fly):
    cancelled = []

    async def run():
        crew = Crew()
        numbers = iter(range(5))

        async def work():
            if next(numbers) == 2:
                raise ValueError("no")
            try:
                await asyncio.sleep(1000)
            except asyncio.CancelledError:
                cancelled.append(1)
                raise

        await crew.run(5, work)

    with pytest.raises(ValueError, match="no"):
        fly(run())
    assert len(cancelled) == 4


def test_a_stop_ends_waits_now_and_questions_after_the_grace(fly):
    ended = {}

    async def run():
        crew, loop = Crew(), asyncio.get_running_loop()

        async def work(name, mark):
            try:
                with mark:
                    await asyncio.sleep(1000)
            finally:
                ended[name] = loop.time()

        kinds = iter([("waiting", crew.waiting), ("asking", crew.asking)])
        loop.call_later(10, crew.stop, 5.0)
        await crew.run(2, lambda: work(*next(kinds)))

    fly(run())
    assert ended == {"waiting": 10, "asking": 15}


def test_work_that_is_neither_is_left_to_finish(fly):
    finished = []

    async def run():
        crew = Crew()

        async def work():
            await asyncio.sleep(20)
            finished.append(1)

        asyncio.get_running_loop().call_later(1, crew.stop, 5.0)
        await crew.run(1, work)

    fly(run())
    assert finished == [1]


def test_after_a_stop_a_worker_can_leave(fly):
    async def run():
        crew = Crew()
        reached = []

        async def work():
            await asyncio.sleep(1)
            crew.stop(5.0)
            crew.leave_if_stopped()
            reached.append(1)

        await crew.run(1, work)
        return reached

    assert fly(run()) == []


def test_a_cancellation_from_outside_passes_through(fly):
    async def run():
        task = asyncio.create_task(Crew().run(3, lambda: asyncio.sleep(1000)))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return len(asyncio.all_tasks())

    assert fly(run()) == 1
