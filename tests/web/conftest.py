"""A real Chromium, and the pretended engine as a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen

import pytest

from chromium import CAMERA, HEADLESS, LOOPBACK, find_chromium

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, WebSocket

DESKTOP = {"width": 1440, "height": 900}
PATIENCE_MS = 30_000


@dataclass
class FakeEngine:
    """`fake_engine.py`, running."""

    process: subprocess.Popen[str]
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    @classmethod
    def start(cls) -> FakeEngine:
        command = [sys.executable, str(Path(__file__).with_name("fake_engine.py"))]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        return cls(process, cls._port_of(process))

    @staticmethod
    def _port_of(process: subprocess.Popen[str]) -> int:
        assert process.stdout is not None
        return int(process.stdout.readline())

    def stop(self) -> None:
        self.process.terminate()
        self.process.communicate(timeout=10)

    def behave(self, **behaviour: Any) -> None:
        """Set fields of `fake_engine.Behaviour`."""
        self._ask("POST", "fake", behaviour)

    def renew(self) -> None:
        """Everything as in the beginning, but for who is connected."""
        self._ask("DELETE", "fake")

    def leave(self) -> None:
        """Vanish, as if it had been stopped."""
        self._ask("POST", "fake/leave")

    def come_back(self) -> None:
        """Serve again after `leave`, as if it had been started anew."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        assert self._port_of(self.process) == self.port

    def received(self, kind: str) -> list[dict[str, Any]]:
        """What pages sent since it was new, oldest first."""
        return [one for one in self._ask("GET", "fake")["received"] if one["type"] == kind]

    def _ask(self, method: str, path: str, content: Any = None) -> Any:
        body = None if content is None else json.dumps(content).encode()
        request = Request(  # noqa: S310
            f"{self.url}{path}", body, {"Content-Type": "application/json"}, method=method
        )
        with urlopen(request, timeout=30) as response:  # noqa: S310
            return json.load(response)


@pytest.fixture(scope="module")
def running_engine() -> Iterator[FakeEngine]:
    running = FakeEngine.start()
    yield running
    running.stop()


@pytest.fixture
def engine(running_engine: FakeEngine) -> Iterator[FakeEngine]:
    """The one that all tests of a module share; each finds it as new."""
    yield running_engine
    running_engine.renew()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as running:
        flags = [*HEADLESS, *LOOPBACK, *CAMERA]
        browser = running.chromium.launch(executable_path=find_chromium(), args=flags)
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
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url)
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


@dataclass
class Desk:
    """A page with a picture on it, at desktop size and with a camera, that tests use one after the other."""

    page: Page
    sockets: list[WebSocket] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    @classmethod
    def open(cls, chromium: Browser, url: str) -> Desk:
        page = chromium.new_page(viewport=DESKTOP, permissions=["camera", "microphone"])
        desk = cls(page)
        page.set_default_timeout(PATIENCE_MS)
        page.on("pageerror", lambda error: desk.complaints.append(str(error)))
        page.on("websocket", desk._hear)
        page.goto(url)
        return desk

    def _hear(self, socket: WebSocket) -> None:
        self.sockets.append(socket)

    @property
    def socket(self) -> WebSocket:
        """The control socket."""
        return self.sockets[-1]

    def tidy(self) -> None:
        """Nothing open, nothing said, nothing focused, the first tab in front."""
        self.page.evaluate(
            """() => {
                for (const dialog of document.querySelectorAll('dialog[open]')) dialog.close();
                for (const notice of document.querySelectorAll('.notice')) notice.remove();
                const search = document.getElementById('expression-search');
                search.value = '';
                search.dispatchEvent(new Event('input'));
                document.getElementById('tab-driver').click();
                document.activeElement.blur();
            }"""
        )


@pytest.fixture(scope="module")
def desks() -> Iterator[list[Desk]]:
    """The desk of the module, once there is one."""
    opened: list[Desk] = []
    yield opened
    for desk in opened:
        desk.page.close()


@pytest.fixture
def desk(
    request: pytest.FixtureRequest, chromium: Browser, desks: list[Desk], engine: FakeEngine
) -> Iterator[Desk]:
    """Connected and driven; a test leaves the controls as it found them, and the rest is tidied after it."""
    if not desks:
        desks.append(Desk.open(chromium, engine.url))
    (desk,) = desks
    desk.page.wait_for_selector("html[data-state=driven]")
    failed = request.session.testsfailed
    yield desk
    if request.session.testsfailed > failed:  # who knows what it left behind
        desks.clear()
        desk.page.close()
    else:
        desk.tidy()
    complaints, desk.complaints = desk.complaints, []
    assert complaints == []
