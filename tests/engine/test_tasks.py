"""What runs beside others, and what is not left before its end."""

import asyncio
import threading

import pytest

from mien.tasks import open_beside, to_end

pytestmark = pytest.mark.unit


async def test_it_returns_and_raises_what_the_work_does():
    async def good():
        return 7

    async def bad():
        raise ValueError("no")

    assert await to_end(good()) == 7
    with pytest.raises(ValueError, match="no"):
        await to_end(bad())


@pytest.mark.parametrize("fails", [False, True])
async def test_however_often_it_is_cancelled_it_comes_to_its_end(fails):
    go_on, told = asyncio.Event(), []

    async def work():
        await go_on.wait()
        if fails:
            raise ValueError("nobody wants to know")

    waiting = asyncio.create_task(to_end(work(), lambda: told.append("cancelled")))
    for _ in range(3):
        await asyncio.sleep(0)
        waiting.cancel()
    await asyncio.sleep(0)
    assert not waiting.done()
    assert told == ["cancelled"]
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting


async def test_work_that_is_cancelled_itself_is_nobodys_change_of_mind():
    told = []

    async def given_up():
        raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await to_end(given_up(), lambda: told.append("cancelled"))
    assert not told


async def test_thrown_away_it_waits_for_nothing():
    """As when a loop is closed with it pending: no loop is there any more to wait in."""
    told = []
    waiting = to_end(asyncio.Event().wait(), lambda: told.append("cancelled"))
    waiting.send(None)
    waiting.close()
    assert not told


async def test_its_task_has_the_name_it_is_given():
    async def named():
        return asyncio.current_task().get_name()

    assert await to_end(named(), name="end of a turn") == "end of a turn"
    assert await to_end(named())


class Driver:
    """Opens when `go_on` is set."""

    def __init__(self, error=None):
        self.begun, self.go_on, self.closed = threading.Event(), threading.Event(), threading.Event()
        self.thread = None
        self._error = error

    def open(self):
        self.thread = threading.current_thread()
        self.begun.set()
        assert self.go_on.wait(30)
        if self._error is not None:
            raise self._error
        return self

    def close(self):
        assert not self.closed.is_set()
        self.closed.set()

    async def opening(self):
        """The task that opens it, once it is in the driver."""
        task = asyncio.create_task(open_beside(self.open, Driver.close, "driver"))
        assert await asyncio.to_thread(self.begun.wait, 30)
        return task


async def test_a_device_is_opened_on_a_thread_of_its_own():
    driver, broken = Driver(), Driver(OSError("no device"))
    for one in driver, broken:
        one.go_on.set()
    assert await (await driver.opening()) is driver
    assert (driver.thread.name, driver.thread.daemon) == ("driver", True)
    with pytest.raises(OSError, match="no device"):
        await (await broken.opening())
    assert not driver.closed.is_set()
    assert not broken.closed.is_set()


@pytest.mark.parametrize("error", [None, OSError("nobody wants to know")])
async def test_nobody_waits_for_a_driver_that_hangs_and_what_comes_too_late_is_given_back(error):
    driver = Driver(error)
    opening = await driver.opening()
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert driver.thread.is_alive()
    driver.go_on.set()
    await asyncio.to_thread(driver.thread.join, 30)
    assert driver.closed.is_set() is (error is None)


@pytest.mark.parametrize("error", [None, OSError("nobody wants to know")])
async def test_what_comes_in_the_moment_of_cancelling_is_given_back(error):
    driver = Driver(error)
    opening = await driver.opening()
    driver.go_on.set()
    driver.thread.join(30)  # the event loop doesn't hear of it before
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    assert driver.closed.is_set() is (error is None)
