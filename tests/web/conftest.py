"""A real Chromium, and the pretended engine as a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--allow-loopback-in-peer-connection",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
]
DESKTOP = {"width": 1440, "height": 900}


@dataclass
class FakeEngine:
    """`fake_engine.py`, running."""

    process: subprocess.Popen[str]
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @classmethod
    def start(cls, *arguments: str) -> FakeEngine:
        command = [sys.executable, str(Path(__file__).with_name("fake_engine.py")), *arguments]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        return cls(process, int(process.stdout.readline()))

    def stop(self) -> None:
        """End it; twice does no harm."""
        self.process.terminate()
        self.process.wait(10)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def behave(self, **behaviour: Any) -> None:
        """Set fields of `fake_engine.Behaviour`."""
        body = json.dumps(behaviour).encode()
        with urlopen(Request(f"{self.url}fake", body, {"Content-Type": "application/json"})):  # noqa: S310
            pass

    def received(self, kind: str) -> list[dict[str, Any]]:
        """What pages sent, oldest first."""
        with urlopen(f"{self.url}fake") as response:  # noqa: S310
            return [one for one in json.load(response)["received"] if one["type"] == kind]


StartEngine = Callable[..., FakeEngine]


@pytest.fixture(scope="module")
def engine() -> Iterator[FakeEngine]:
    """One that most tests share."""
    _need_fake_engine()
    running = FakeEngine.start()
    yield running
    running.stop()


@pytest.fixture
def start_engine() -> Iterator[StartEngine]:
    """`start_engine(*arguments)`: one of the test's own."""
    _need_fake_engine()
    started: list[FakeEngine] = []

    def start(*arguments: str) -> FakeEngine:
        started.append(FakeEngine.start(*arguments))
        return started[-1]

    yield start
    for one in started:
        one.stop()


def _need_fake_engine() -> None:
    for needed in ("aiortc", "cv2", "fastapi", "uvicorn"):
        pytest.importorskip(needed)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    playwright = pytest.importorskip("playwright.sync_api")
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is missing: apt install chromium")
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


OpenPage = Callable[..., "Page"]


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[OpenPage]:
    """`open_page(url, **context)`: a page in a context of its own; its errors fail the test."""
    complaints: list[str] = []
    contexts = []

    def open_(url: str, **options: Any) -> Page:
        context = chromium.new_context(**{"viewport": DESKTOP} | options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(15_000)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []
