"""A real Chromium puts colours and alpha together: the person over whatever is behind the page's picture."""

from __future__ import annotations

import asyncio
import io
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
import pytest_asyncio
from PIL import Image
from playwright.async_api import Browser, Page, async_playwright
from webrtc_fakes import PATIENCE_S, FakeSession, served, until

from chromium import HEADLESS, find_chromium
from mien.frames import VideoFrame

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

FLAGS = [*HEADLESS, "--enable-unsafe-swiftshader"]
SIDE = 128
PATIENCE_MS = PATIENCE_S * 1000

BEHIND = (30, 60, 200)
PERSON = (220, 40, 40)


def person(index: int, capture_ns: int, *, alpha: bool = True) -> VideoFrame:
    """A disc of one colour, which goes on outside of it; a corner tells that frames go on."""
    y, x = np.mgrid[:SIDE, :SIDE]
    away = np.hypot(x - SIDE / 2, y - SIDE / 2)
    mask = np.clip((40 - away) * 64 + 128, 0, 255).astype(np.uint8)
    pixels = np.full((SIDE, SIDE, 3), PERSON, np.uint8)
    return VideoFrame(pixels, capture_ns, mask if alpha else None, index, backdrop=(0, 200, 0))


class Show:
    """Pictures that flow to whoever watches the session."""

    def __init__(self, session: FakeSession) -> None:
        self.session = session
        self.alpha = True
        told = session.snapshot
        session.snapshot = lambda: told() | {"picture": {"width": SIDE, "height": SIDE}}  # type: ignore[method-assign]

    async def run(self) -> None:
        clock = self.session.clock
        for index in itertools.count():
            frame = person(index, clock.now_ns(), alpha=self.alpha)
            for output in self.session.outputs:
                await output.video(frame)
            await clock.sleep(40_000_000)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        yield browser
        await browser.close()


@asynccontextmanager
async def opened(browser: Browser, path: str) -> AsyncIterator[tuple[Page, Show]]:
    async with served() as (engine, _, address):
        show = Show(engine.main)
        task = asyncio.create_task(show.run())
        page = await browser.new_page(viewport={"width": 256, "height": 256})
        await page.goto(f"{address}{path}")
        yield page, show
        await page.close()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def view(browser: Browser) -> AsyncIterator[tuple[Page, Show]]:
    """The picture alone, for all tests that leave it as they found it."""
    async with opened(browser, "view") as opened_view:
        yield opened_view


async def seen(page: Page, **options: bool) -> np.ndarray:
    """(256, 256, 4) what the page looks like."""
    picture = await page.screenshot(**options)  # type: ignore[arg-type]
    return np.asarray(Image.open(io.BytesIO(picture)).convert("RGBA"))


@asynccontextmanager
async def behind(page: Page, colour: tuple[int, int, int]) -> AsyncIterator[None]:
    """That colour is behind the page."""
    style = "document.documentElement.style.setProperty('background', {!r}, 'important')"
    await page.evaluate(style.format(f"rgb{colour}"))
    yield
    await page.evaluate(style.format(""))


async def shown_with(page: Page, *, alpha: bool) -> None:
    await page.wait_for_function(
        "wanted => document.querySelector('#composed').hidden !== wanted && document.body.dataset.open === ''",
        arg=alpha,
        timeout=PATIENCE_MS,
    )
    await page.evaluate(
        "new Promise((done) => document.querySelector('video').requestVideoFrameCallback(done))"
    )
    await page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")


async def test_the_person_over_what_is_behind_the_page(view: tuple[Page, Show]) -> None:
    page, show = view
    async with behind(page, BEHIND):
        await shown_with(page, alpha=True)
        picture = (await seen(page))[..., :3].astype(int)
        y, x = np.mgrid[:256, :256] + 0.5
        away = np.hypot(x - 128, y - 128)
        assert (picture[away > 92] == BEHIND).all()  # not a veil of noise
        np.testing.assert_allclose(picture[away < 68].mean(axis=0), PERSON, atol=12)
        # No fringe: at the edge there is person and background, and nothing darker or lighter than both.
        edge = picture[(away > 72) & (away < 88)]
        low, high = np.minimum(PERSON, BEHIND) - 26, np.maximum(PERSON, BEHIND) + 26
        assert (edge >= low).all()
        assert (edge <= high).all()

        show.alpha = False  # somebody chooses another background: the same connection, the plain video
        await shown_with(page, alpha=False)
        plain = (await seen(page))[..., :3].astype(int)
        np.testing.assert_allclose(plain[10:-10, 10:-10].reshape(-1, 3).mean(axis=0), PERSON, atol=12)

        show.alpha = True
        await shown_with(page, alpha=True)
        again = (await seen(page))[..., :3].astype(int)
        assert (again[away > 92] == BEHIND).all()


async def test_the_page_itself_is_transparent_and_frames_go_on(view: tuple[Page, Show]) -> None:
    """As OBS sees it: alpha 0 where nobody is."""
    page, _ = view
    await shown_with(page, alpha=True)
    picture = await seen(page, omit_background=True)
    assert (picture[:40, :40, 3] == 0).all()
    assert (picture[120:136, 120:136, 3] == 255).all()
    drawn, shown = await page.evaluate(
        """async () => {
          const gl = document.querySelector('#composed').getContext('webgl');
          const {drawArrays} = gl;
          const video = document.querySelector('video');
          let drawn = 0;
          let shown = 0;
          gl.drawArrays = (...given) => { drawn += 1; return drawArrays.apply(gl, given); };
          while (shown < 15) {
            await new Promise((done) => video.requestVideoFrameCallback(done));
            shown += 1;
          }
          gl.drawArrays = drawArrays;
          return [drawn, shown];
        }"""
    )
    assert drawn >= shown - 1  # every frame, though the video itself is not seen


async def test_the_page_shows_what_is_transparent(browser: Browser) -> None:
    async with opened(browser, "") as (page, show):
        await page.set_viewport_size({"width": 1200, "height": 800})
        await page.wait_for_selector("#frame[data-transparent] > #composed", timeout=PATIENCE_MS)
        box = await page.locator("#frame").bounding_box()
        assert box is not None
        assert box["width"] == pytest.approx(box["height"], rel=0.02)  # half of what is sent
        await page.click("#tab-scene")
        await page.check("#background input[value=transparent]")
        await page.wait_for_selector("#view-link:visible", timeout=PATIENCE_MS)
        await page.fill("#background-colour", "#00b140")
        await until(lambda: show.session.controls.background.colour == "#00b140", timeout_s=PATIENCE_S)
        assert show.session.controls.background.mode == "transparent"
