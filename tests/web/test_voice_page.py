"""My voice on the page: the microphone alone, how loud it is, mute, and what is said when it is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from conftest import Desk, FakeEngine

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


@pytest.fixture
def page(desk: Desk) -> Iterator[Page]:
    """Its `navigator.mediaDevices.getUserMedia` may be replaced; `real` is the browser's own."""
    desk.page.evaluate(
        "window.real ??= navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices); undefined"
    )
    yield desk.page
    desk.page.evaluate("navigator.mediaDevices.getUserMedia = window.real; undefined")


def test_my_voice_goes_out_alone_and_can_be_muted(page: Page, engine: FakeEngine) -> None:
    page.locator("#voice-on").click()
    page.wait_for_selector("#voice-level[data-link=open]")
    page.get_by_text("You are heard").wait_for()
    assert len(engine.received("whip")) == 1
    assert page.locator("#preview").is_hidden()
    # Chromium's pretended microphone beeps.
    page.wait_for_function(
        "() => Number(document.getElementById('voice-level').getAttribute('aria-valuenow')) > 30"
    )
    page.locator("#voice-mute").click()
    page.get_by_text("Muted: nothing you say goes out.").wait_for()
    assert page.locator("#voice-mute").get_attribute("aria-pressed") == "true"
    page.locator("#voice-mute").click()
    page.get_by_text("You are heard").wait_for()
    with page.expect_response(lambda response: response.request.method == "DELETE"):
        page.locator("#voice-on").click()
    assert page.locator("#voice-level").is_hidden()
    assert page.locator("#voice-on").inner_text() == "Use my voice"


def test_nobody_is_told_to_be_heard_before_that_is_so(page: Page) -> None:
    page.evaluate("window.fetchNow = window.fetch; window.fetch = () => new Promise(() => {}); undefined")
    try:
        page.locator("#voice-on").click()
        page.get_by_text("Connecting your microphone…").wait_for()
        page.locator("#voice-mute").click()
        page.get_by_text("Muted: nothing you say goes out.").wait_for()
        page.locator("#voice-mute").click()
        page.get_by_text("Connecting your microphone…").wait_for()
        page.locator("#voice-on").click()
    finally:
        page.evaluate("window.fetch = window.fetchNow; undefined")


def test_a_microphone_that_goes_away_says_so(page: Page) -> None:
    page.evaluate(
        "navigator.mediaDevices.getUserMedia = async (wish) => (window.mine = await window.real(wish)); undefined"
    )
    page.locator("#voice-on").click()
    page.wait_for_selector("#voice-level[data-link=open]")
    page.evaluate("window.mine.getTracks()[0].dispatchEvent(new Event('ended'))")
    page.get_by_text("The microphone went away").wait_for()
    assert page.locator("#voice-on").get_attribute("aria-pressed") == "false"


def test_switched_off_while_another_microphone_opens_none_stays_open(page: Page) -> None:
    page.locator("#voice-on").click()
    page.wait_for_selector("#voice-level[data-link=open]")
    page.evaluate(
        "navigator.mediaDevices.getUserMedia = (wish) => new Promise((done) => {"
        "  window.give = async () => done((window.mine = await window.real(wish)));"
        "}); undefined"
    )
    page.evaluate("document.getElementById('microphone-picker').dispatchEvent(new Event('change'))")
    page.wait_for_function("window.give !== undefined")
    page.locator("#voice-on").click()
    page.evaluate("window.give()")
    page.wait_for_function("window.mine.getAudioTracks()[0].readyState === 'ended'")
    assert page.locator("#voice-on").inner_text() == "Use my voice"


def test_a_refused_microphone_says_why(page: Page) -> None:
    for error, words in (
        ("NotAllowedError", "The microphone is not allowed"),
        ("NotFoundError", "No microphone was found"),
        ("NotReadableError", "The microphone cannot be used"),
    ):
        page.evaluate(
            f"navigator.mediaDevices.getUserMedia = async () => {{ throw new DOMException('', '{error}') }}; "
            "undefined"
        )
        page.locator("#voice-on").click()
        page.locator("#voice-text").get_by_text(words).wait_for()
        assert page.locator("#voice-on").inner_text() == "Use my voice"
        assert page.locator("#voice-mute").is_hidden()
