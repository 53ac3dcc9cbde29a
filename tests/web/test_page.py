"""The page in a real Chromium, against an engine that is pretended."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from conftest import Desk, FakeEngine, OpenPage

pytestmark = pytest.mark.browser

PHONE: Any = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}


def in_state(page: Page, name: str) -> None:
    page.wait_for_selector(f"html[data-state={name}]")


def is_set(**wanted: Any) -> Any:
    """A predicate for sent socket messages: a patch that holds these controls."""

    def holds(frame: str | bytes) -> bool:
        message = json.loads(frame)
        return message["type"] == "set" and wanted.items() <= message["controls"].items()

    return holds


def picture_of_nobody(folder: Path) -> Path:
    """A grey PNG, 8x8."""
    cv2 = pytest.importorskip("cv2")
    import numpy as np

    path = folder / "nobody.png"
    cv2.imwrite(str(path), np.full((8, 8, 3), 128, np.uint8))
    return path


def test_the_picture_plays_and_the_console_is_silent(open_page: OpenPage, engine: FakeEngine) -> None:
    page = open_page("about:blank")
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(engine.url)
    in_state(page, "driven")
    video = page.locator("#picture")
    assert video.evaluate("v => !v.paused && v.muted && v.videoWidth > 0")
    assert video.evaluate("v => new Promise(done => v.requestVideoFrameCallback(() => done(true)))")
    assert page.locator("#cover").is_hidden()
    assert page.locator(".badge").inner_text() == "AI-generated picture"
    box = page.locator("#frame").bounding_box()
    assert box is not None
    assert box["height"] > 0.8 * 900
    assert said == []


def test_the_engines_states_are_shown(desk: Desk, engine: FakeEngine) -> None:
    page = desk.page
    for state, source, word in (
        ("holding", "a camera", "no face"),
        ("idle", "a camera", "no face"),
        ("idle", "", "nobody"),
        ("degraded", "a camera", "failed"),
    ):
        engine.behave(state=state, source=source)
        in_state(page, state)
        page.locator("#tally-detail").get_by_text(word).wait_for()
        assert word in page.locator("#announcer").inner_text()


@pytest.mark.parametrize("key", ["p", "Space"])
def test_one_key_pauses_and_resumes(desk: Desk, key: str) -> None:
    page, socket = desk.page, desk.socket
    with socket.expect_event("framesent", is_set(paused=True)):
        page.keyboard.press(key)
    in_state(page, "paused")
    assert page.locator("#paused").is_visible()
    assert page.title().startswith("❚❚ Paused")
    with socket.expect_event("framesent", is_set(paused=False)):
        page.keyboard.press(key)
    in_state(page, "driven")
    assert page.locator("#paused").is_hidden()


def test_space_on_a_button_presses_the_button_only(desk: Desk) -> None:
    page, socket = desk.page, desk.socket
    page.locator("#mirror").focus()
    with socket.expect_event("framesent", is_set(mirror=True)):
        page.keyboard.press("Space")
    assert page.locator("#pause").get_attribute("aria-pressed") == "false"
    with socket.expect_event("framesent", is_set(mirror=False)):
        page.keyboard.press("m")


def test_a_slider_sends_its_patch_and_both_sides_move_together(desk: Desk) -> None:
    page, socket = desk.page, desk.socket
    page.keyboard.press("/")
    page.keyboard.type("smile")
    assert page.locator("#expressions .row:visible").count() == 1
    page.locator("input[title*=mouthSmileLeft]").focus()
    wanted = {"mouthSmileRight": 0.02, "mouthSmileLeft": 0.02}
    with socket.expect_event("framesent", is_set(expression=wanted)):
        page.keyboard.press("ArrowRight")
    taken_back = {"mouthSmileRight": None, "mouthSmileLeft": None}
    with socket.expect_event("framesent", is_set(expression=taken_back)):
        page.locator("#expression-reset").click()
    assert page.locator("#expression-reset").is_disabled()


def test_every_expression_has_one_slider(desk: Desk) -> None:
    from mien.face.rig import ARKIT_NAMES

    titles = desk.page.locator("#expressions input").evaluate_all("all => all.map(one => one.title)")
    assert sorted(title.split("(")[1].strip(")") for title in titles) == sorted(ARKIT_NAMES)


def test_every_emotion_is_offered_once(desk: Desk) -> None:
    from mien.face.emotions import NAMES

    chips = desk.page.locator("#emotion-chips button").all_text_contents()
    listed = desk.page.locator("#emotion-more option").evaluate_all("all => all.map(one => one.value)")
    assert sorted([*map(str.lower, chips), *filter(None, listed)]) == sorted(NAMES)


def test_an_emotion_is_chosen_weakened_replaced_and_taken_off_by_keyboard(desk: Desk) -> None:
    page, socket = desk.page, desk.socket
    page.locator("#tab-face").click()
    happy = page.get_by_role("button", name="Happy", exact=True)
    happy.focus()
    with socket.expect_event("framesent", is_set(emotion={"happy": 0.7})):
        page.keyboard.press("Enter")
    assert happy.get_attribute("aria-pressed") == "true"
    page.get_by_role("slider", name="Happy: strength").focus()
    with socket.expect_event("framesent", is_set(emotion={"happy": 0.68})):
        page.keyboard.press("ArrowLeft")
    with socket.expect_event("framesent", is_set(emotion={"happy": None, "awed": 0.68})):
        page.locator("#emotion-more").select_option("awed")
    assert happy.get_attribute("aria-pressed") == "false"
    assert page.locator("#emotion-strengths .row-label").all_text_contents() == ["Awed"]
    with socket.expect_event("framesent", is_set(emotion={"awed": None})):
        page.locator("#emotion-more").select_option("More…")
    assert page.locator("#emotion-strengths .row").count() == 0
    assert page.locator("#expression-reset").is_disabled()


def test_emotions_are_mixed_when_asked_for(desk: Desk) -> None:
    page, socket = desk.page, desk.socket
    page.locator("#tab-face").click()
    page.locator("#emotion-mix").check()
    page.get_by_role("button", name="Sad", exact=True).click()
    with socket.expect_event("framesent", is_set(emotion={"angry": 0.68})):
        page.get_by_role("button", name="Angry", exact=True).click()
    assert page.locator("#emotion-strengths .row").count() == 2
    assert page.locator("#emotion-hint").is_visible()
    with socket.expect_event("framesent", is_set(emotion={"sad": None, "angry": None})):
        page.locator("#expression-reset").click()
    assert page.locator("#emotion-strengths .row").count() == 0
    page.locator("#emotion-mix").uncheck()


def test_what_the_face_does_by_itself_is_turned_down(desk: Desk) -> None:
    page, socket = desk.page, desk.socket
    labels = page.locator("#alive .row-label").all_text_contents()
    assert labels == ["Blinks", "Glances", "Nods", "Breathing"]
    page.get_by_role("slider", name="Breathing").focus()
    with socket.expect_event("framesent", is_set(alive={"breathing": 0})):
        page.keyboard.press("Home")
    with socket.expect_event("framesent", is_set(alive={"breathing": 1})):
        page.keyboard.press("Delete")


def test_the_drivers_light_has_a_strength(desk: Desk) -> None:
    page, socket = desk.page, desk.socket
    page.locator("#tab-scene").click()
    strength = page.get_by_role("slider", name="Strength of my light")
    assert not strength.is_visible(), "the portrait's light is as strong as it is"
    page.get_by_role("radio", name="Mine").check()
    strength.focus()
    with socket.expect_event("framesent", is_set(light_strength=0.95)):
        page.keyboard.press("ArrowLeft")
    page.get_by_role("radio", name="The portrait’s").check()
    assert not strength.is_visible()


def test_square_or_wide_is_chosen_and_shown_as_it_is(desk: Desk, engine: FakeEngine) -> None:
    page, socket = desk.page, desk.socket
    page.locator("#tab-scene").click()
    assert page.get_by_role("radio", name="Square").is_checked()
    with socket.expect_event("framesent", is_set(aspect="16:9")):
        page.get_by_role("radio", name="Wide, 16:9").check()
    page.reload()
    page.locator("#tab-scene").click()
    page.get_by_role("radio", name="Wide, 16:9", checked=True).wait_for()
    engine.renew()
    page.get_by_role("radio", name="Square", checked=True).wait_for()


def test_what_the_engine_takes_back_at_once_is_shown_as_it_is(desk: Desk, engine: FakeEngine) -> None:
    """What was set here a moment ago stays for a while, in case the engine has not heard of it yet."""
    page, socket = desk.page, desk.socket
    page.locator("#tab-scene").click()
    with socket.expect_event("framesent", is_set(aspect="16:9")):
        page.get_by_role("radio", name="Wide, 16:9").check()
    engine.renew()
    page.get_by_role("radio", name="Square", checked=True).wait_for()


def test_calibrating_says_what_to_do_and_when_it_is_done(desk: Desk, engine: FakeEngine) -> None:
    page, button = desk.page, desk.page.locator("#calibrate")
    button.evaluate(
        """button => {
            globalThis.told = [];
            const text = document.getElementById('calibrating-text');
            new MutationObserver(() => told.push([text.textContent, button.ariaBusy])).observe(text, {childList: true});
            button.click();
            button.click();
        }"""
    )
    page.get_by_text("Calibrated: that is your neutral face now.").wait_for()
    (ready, busy), (rest, still_busy) = page.evaluate("told")
    assert "relax your face" in ready
    assert "for a second" in rest
    assert busy == still_busy == "true"
    assert button.get_attribute("aria-busy") == "false"
    assert page.locator("#calibrating").is_hidden()
    assert engine.received("do") == [{"type": "do", "action": "calibrate"}]


def test_nobody_is_calibrated_while_nobody_drives(desk: Desk, engine: FakeEngine) -> None:
    engine.behave(state="idle")
    in_state(desk.page, "idle")
    desk.page.keyboard.press("n")
    desk.page.get_by_text("No face drives just now").wait_for()
    assert desk.page.locator("#calibrating").is_hidden()
    assert engine.received("do") == []


def test_the_pad_turns_the_gaze_by_keys_and_by_pointer(desk: Desk) -> None:
    page, socket = desk.page, desk.socket
    page.locator("#tab-pose").click()
    point = page.get_by_role("slider", name="Gaze", exact=True)
    point.focus()
    with socket.expect_event("framesent", is_set(gaze={"yaw": 0, "pitch": 1})):
        page.keyboard.press("ArrowUp")
    assert point.get_attribute("aria-valuetext") == "0°, 1° up"
    pad = page.locator("#gaze-pad .pad").bounding_box()
    assert pad is not None
    with socket.expect_event("framesent", lambda frame: json.loads(frame)["controls"]["gaze"]["yaw"] == 15):
        page.mouse.click(pad["x"] + pad["width"] * 0.75, pad["y"] + pad["height"] * 0.5)
    with socket.expect_event("framesent", is_set(gaze={"yaw": 0, "pitch": 0})):
        page.locator("#gaze-reset").click()


def test_no_portrait_without_a_ticked_statement(desk: Desk, engine: FakeEngine, tmp_path: Path) -> None:
    page = desk.page
    page.set_input_files("#portrait-file", picture_of_nobody(tmp_path))
    accept = page.locator("#portrait-accept")
    assert accept.is_disabled()
    assert page.locator("#portrait-consent").is_disabled()
    page.get_by_label("written permission").check()
    page.locator("#portrait-consent").check()
    assert accept.is_disabled(), "whose permission?"
    page.locator("#portrait-who").fill("Ada Example")
    assert accept.is_enabled()
    page.locator("#portrait-consent").uncheck()
    assert accept.is_disabled()
    page.locator("#portrait-consent").check()
    with page.expect_response("**/avatar"):
        accept.click()
    page.locator("#portrait-dialog").wait_for(state="hidden")
    sent = engine.received("avatar")[-1]
    assert sent["consent"] == "true"
    assert "Ada Example" in sent["statement"]
    assert page.locator("#avatar-title").text_content() == "nobody"


def test_a_portrait_without_a_face_says_so_in_the_dialog(
    desk: Desk, engine: FakeEngine, tmp_path: Path
) -> None:
    page = desk.page
    engine.behave(avatar_status=422)
    page.set_input_files("#portrait-file", picture_of_nobody(tmp_path))
    page.locator("#portrait-basis-self").check()
    page.locator("#portrait-consent").check()
    page.locator("#portrait-accept").click()
    page.get_by_text("No face was found in nobody.png").wait_for()
    assert page.locator("#portrait-dialog").is_visible()


def test_a_file_that_is_no_picture_or_too_large_says_so_in_the_dialog(
    desk: Desk, engine: FakeEngine, tmp_path: Path
) -> None:
    page = desk.page
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no picture")
    page.set_input_files("#portrait-file", broken)
    page.locator("#portrait-error").get_by_text("cannot show that file").wait_for()
    assert page.locator("#portrait-preview").is_hidden()
    engine.behave(avatar_status=413)
    page.set_input_files("#portrait-file", picture_of_nobody(tmp_path))
    page.locator("#portrait-preview").wait_for()
    page.locator("#portrait-basis-self").check()
    page.locator("#portrait-consent").check()
    page.locator("#portrait-accept").click()
    page.locator("#portrait-error").get_by_text("The file is too large").wait_for()


def test_a_picture_taken_with_the_camera_needs_the_statement_too(desk: Desk) -> None:
    page = desk.page
    page.locator("#tab-scene").click()
    page.locator("#portrait-take").click()
    page.wait_for_selector("#portrait-shutter")
    page.locator("#portrait-finder").evaluate("v => v.videoWidth || new Promise(ok => v.onloadeddata = ok)")
    page.locator("#portrait-shutter").click()
    page.locator("#portrait-preview").wait_for()
    assert page.locator("#portrait-accept").is_disabled()


def test_my_camera_drives_and_stops(desk: Desk, engine: FakeEngine) -> None:
    page = desk.page
    page.keyboard.press("v")
    page.wait_for_selector("#preview[data-link=open]")
    page.locator("#tally-detail:text-is('by your camera')").wait_for()
    assert engine.received("whip")
    page.locator("#microphone").click()
    assert page.locator("#microphone").get_attribute("aria-pressed") == "false"
    with page.expect_response(lambda response: response.request.method == "DELETE"):
        page.locator("#camera").click()
    assert page.locator("#preview").is_hidden()
    assert {"type": "delete", "where": "whip"} in engine.received("delete")


def test_a_refused_camera_says_why(open_page: OpenPage, engine: FakeEngine) -> None:
    page = open_page("about:blank")
    page.add_init_script(
        "navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('', 'NotAllowedError') }"
    )
    page.goto(engine.url)
    in_state(page, "driven")
    page.locator("#camera").click()
    page.get_by_text("The camera is not allowed").wait_for()
    assert page.locator("#camera").inner_text().startswith("Use my camera")


@pytest.mark.parametrize(("times", "words"), [(1, ""), (9, "Another program or tab may hold it")])
def test_a_camera_that_was_let_go_a_moment_ago_opens(desk: Desk, times: int, words: str) -> None:
    page = desk.page
    page.evaluate(
        """times => {
            const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
            navigator.mediaDevices.getUserMedia = async (wish) => {
                times -= 1;
                if (times >= 0) throw new DOMException('', 'NotReadableError');
                return real(wish);
            };
        }""",
        times,
    )
    page.keyboard.press("v")
    if words:
        page.get_by_text(words).wait_for()
    else:
        page.wait_for_selector("#preview[data-link=open]")
        page.keyboard.press("v")
        assert page.locator(".notice").count() == 0
    page.evaluate("delete navigator.mediaDevices.getUserMedia; undefined")


def test_a_recording_ends_in_a_link(desk: Desk) -> None:
    page = desk.page
    page.keyboard.press("r")
    page.wait_for_selector("#record[aria-pressed=true]")
    assert page.locator("#recording").is_visible()
    page.keyboard.press("r")
    link = page.locator(".notice a")
    link.wait_for()
    assert (link.get_attribute("href") or "").endswith("/recordings/1.mp4")
    assert page.locator("#recording").is_hidden()


def test_a_recording_that_nobody_stopped_has_ended_and_says_why(desk: Desk, engine: FakeEngine) -> None:
    page = desk.page
    page.keyboard.press("r")
    page.wait_for_selector("#record[aria-pressed=true]")
    engine.behave(recording_lost_by="The disk is full.")
    page.wait_for_selector("#record[aria-pressed=false]")
    assert page.locator("#recording").is_hidden()
    assert "The disk is full." in (page.locator("#takes li").first.text_content() or "")


def test_a_camera_that_opens_after_mine_was_switched_off_is_closed(desk: Desk) -> None:
    page = desk.page
    page.keyboard.press("v")
    page.wait_for_selector("#preview[data-link=open]")
    page.evaluate(
        """() => {
            const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
            globalThis.asked = new Promise((resolve) => {
                navigator.mediaDevices.getUserMedia = (wish) => new Promise((done) => {
                    delete navigator.mediaDevices.getUserMedia;
                    resolve(async () => done(globalThis.second = await real(wish)));
                });
            });
            document.getElementById('camera-picker').dispatchEvent(new Event('change'));
        }"""
    )
    page.keyboard.press("v")
    page.evaluate("asked.then((give) => give())")
    assert page.evaluate("second.getTracks().map((track) => track.readyState)") == ["ended", "ended"]
    assert page.locator("#preview").is_hidden()


def test_a_portrait_is_taken_without_the_microphone(desk: Desk) -> None:
    page = desk.page
    page.evaluate(
        """() => {
            const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
            globalThis.wishes = [];
            navigator.mediaDevices.getUserMedia = (wish) => (wishes.push(Object.keys(wish)), real(wish));
        }"""
    )
    page.locator("#tab-scene").click()
    page.locator("#portrait-take").click()
    page.wait_for_selector("#portrait-shutter:visible")
    assert page.evaluate("wishes") == [["video"]]
    page.evaluate("delete navigator.mediaDevices.getUserMedia; undefined")


def test_what_is_said_of_the_camera_ends_with_it(desk: Desk) -> None:
    page = desk.page
    page.keyboard.press("v")
    page.locator("#sending").get_by_text("Sending").wait_for()
    # Figures that are under way while it is switched off come too late to be shown.
    page.evaluate(
        """() => {
            const real = RTCPeerConnection.prototype.getStats;
            globalThis.late = new Promise((resolve) => {
                RTCPeerConnection.prototype.getStats = async function () {
                    const report = await real.call(this);
                    if ([...report.values()].some(({ type }) => type === 'outbound-rtp')) {
                        RTCPeerConnection.prototype.getStats = real;
                        document.getElementById('camera').click();
                        resolve(new Promise((told) => setTimeout(told)));
                    }
                    return report;
                };
            });
        }"""
    )
    page.evaluate("late")
    assert page.locator("#sending").text_content() == ""


def test_a_full_engine_gives_its_reason(open_page: OpenPage, engine: FakeEngine) -> None:
    engine.behave(whep_status=503, detail="Both places are taken.")
    page = open_page(engine.url)
    page.wait_for_selector(".cover.failed[data-kind=full]")
    assert page.get_by_text("Both places are taken.").is_visible()
    engine.behave(whep_status=201)
    page.locator("#cover-again").click()
    in_state(page, "driven")


def test_there_is_nothing_to_press_while_it_tries_again(open_page: OpenPage, engine: FakeEngine) -> None:
    engine.behave(whep_status=503, detail="Both places are taken.")
    page = open_page(engine.url)
    again = page.locator("#cover-again")
    page.wait_for_function(
        """() => {
            const button = document.getElementById('cover-again');
            if (button.hidden) return false;
            window.fetch = () => new Promise((_, refuse) => Object.assign(window, {refuse}));
            button.focus();
            button.click();
            return true;
        }"""
    )
    page.locator("#cover-when").get_by_text("Trying again…").wait_for()
    again.wait_for(state="hidden")
    assert page.locator("#cover-why").is_visible()
    page.evaluate("window.refuse(new Error('no'))")
    again.wait_for()
    assert again.evaluate("button => document.activeElement === button"), "who pressed it can press it again"


def test_an_unknown_session_that_does_not_fit_is_refused(open_page: OpenPage, engine: FakeEngine) -> None:
    page = open_page(f"{engine.url}?session=second")
    page.wait_for_selector(".cover.failed[data-kind=full]")
    assert page.get_by_text("room for 1 session").is_visible()


@pytest.mark.parametrize(
    ("behaviour", "reached", "kind"),
    [("whep_without_path", ["new", "connecting"], "path"), ("whep_silent", ["connected"], "no-picture")],
)
def test_a_connection_that_fails_says_why_within_ten_seconds(
    open_page: OpenPage, engine: FakeEngine, behaviour: str, reached: list[str], kind: str
) -> None:
    engine.behave(**{behaviour: True})
    page = open_page("about:blank")
    page.add_init_script(
        """globalThis.answered = new Promise(resolve => {
            globalThis.RTCPeerConnection = class extends RTCPeerConnection {
                setRemoteDescription(answer) {
                    return super.setRemoteDescription(answer).then(() => resolve(this));
                }
            };
        })"""
    )
    page.clock.install()
    page.goto(engine.url)
    page.evaluate(
        """async wanted => {
            const pc = await answered;
            while (!wanted.includes(pc.connectionState))
                await new Promise(changed => pc.addEventListener('connectionstatechange', changed, {once: true}));
        }""",
        reached,
    )
    page.clock.fast_forward(10_000)
    page.wait_for_selector(f".cover.failed[data-kind={kind}]")
    assert page.locator("#cover-why").inner_text()
    assert page.locator("#cover-mend").inner_text()


def test_the_page_comes_back_when_the_engine_does(desk: Desk, engine: FakeEngine) -> None:
    engine.leave()
    desk.page.wait_for_selector(".cover.failed[data-kind=engine-gone]")
    engine.come_back()
    in_state(desk.page, "driven")
    assert desk.page.locator("#cover").is_hidden()


def test_the_token_leaves_the_address_bar_and_a_missing_one_can_be_entered(
    open_page: OpenPage, engine: FakeEngine
) -> None:
    engine.behave(token="s3cret")  # noqa: S106
    page = open_page(f"{engine.url}#token=s3cret")
    page.wait_for_url(engine.url)
    page.reload()
    in_state(page, "driven")
    stranger = open_page(engine.url)
    stranger.wait_for_selector(".cover.failed[data-kind=token]")
    stranger.locator("#token").fill("s3cret")
    stranger.keyboard.press("Enter")
    in_state(stranger, "driven")
    another = open_page(engine.url)
    another.wait_for_selector(".cover.failed[data-kind=token]")
    another.goto(f"{engine.url}#token=s3cret")  # the same page: only the hash changes
    in_state(another, "driven")


def test_leaving_the_page_ends_the_connection_at_once(
    open_page: OpenPage, desk: Desk, engine: FakeEngine
) -> None:
    desk.page.locator("#n-viewers:text-is('1')").wait_for()
    page = open_page(engine.url)
    in_state(page, "driven")
    desk.page.locator("#n-viewers:text-is('2')").wait_for()
    page.goto("about:blank")
    desk.page.locator("#n-viewers:text-is('1')").wait_for(timeout=10_000)  # by itself it would take 30 s
    assert {"type": "delete", "where": "whep"} in engine.received("delete")


def test_what_is_read_out_is_what_stands_there(desk: Desk) -> None:
    """WCAG 2.2, 2.5.3: who speaks to the page says what is written on the button."""
    page = desk.page
    page.get_by_role("button", name="Pause", exact=True).wait_for()
    for tab in ("driver", "face", "pose", "scene"):
        page.locator(f"#tab-{tab}").click()
        rows = page.locator(f"#panel-{tab} .row:visible").evaluate_all(
            """rows => rows.map(row => [row.querySelector('.row-label').textContent,
                [...row.querySelectorAll('input')].map(slider => slider.ariaLabel)])"""
        )
        for label, names in rows:
            assert names
            assert all(label.lower() in name.lower() for name in names), (label, names)


def test_everything_is_reached_and_seen_by_keyboard_alone(open_page: OpenPage, engine: FakeEngine) -> None:
    page = open_page(engine.url)
    in_state(page, "driven")
    order = []
    for _ in range(30):
        page.keyboard.press("Tab")
        focused = page.evaluate(
            """() => {
                const at = document.activeElement;
                const shown = at.parentElement?.matches('.choices label') ? at.nextElementSibling : at;
                return [at.id || at.name || at.tagName, getComputedStyle(shown).outlineStyle !== 'none'];
            }"""
        )
        if focused[0] in {"BODY", *order[:1]}:
            break
        assert focused[1], f"{focused[0]} has no visible focus"
        order.append(focused[0])
    acts = ["camera", "pause", "recentre", "calibrate", "mirror", "record"]
    first = ["help", "sound", "fullscreen", *acts, "tab-driver"]
    assert order[: len(first)] == first
    assert "plot" in order

    page.locator("#tab-driver").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#tab-face").get_attribute("aria-selected") == "true"
    page.keyboard.press("End")
    assert page.locator("#panel-scene").is_visible()
    page.keyboard.press("?")
    assert page.locator("#help-dialog").is_visible()
    page.keyboard.press("Escape")
    assert page.locator("#help-dialog").is_hidden()


def test_the_phone_shows_the_picture_first_and_never_scrolls_sideways(
    open_page: OpenPage, engine: FakeEngine
) -> None:
    page = open_page(engine.url, **PHONE)
    in_state(page, "driven")
    frame = page.locator("#frame").bounding_box()
    assert frame is not None
    assert frame["width"] == 390
    assert frame["y"] < 60
    for tab in ("driver", "face", "pose", "scene", "timing"):
        page.locator(f"#tab-{tab}").tap()
        assert page.locator(f"#panel-{tab}").is_visible()
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.evaluate("document.documentElement.scrollHeight") <= 844
        wide = page.evaluate(
            "name => document.getElementById(name).scrollWidth - document.getElementById(name).clientWidth",
            f"panel-{tab}",
        )
        assert wide <= 0
        small = page.evaluate(
            """() => [...document.querySelectorAll('button, select, summary, input[type=search]')]
                .map(one => [one.id || one.textContent, one.getBoundingClientRect()])
                .filter(([, box]) => box.width && (box.width < 44 || box.height < 44))
                .map(([name]) => name)"""
        )
        assert small == []


def test_on_a_small_phone_notices_leave_the_face_free(open_page: OpenPage, engine: FakeEngine) -> None:
    page = open_page(engine.url, **{**PHONE, "viewport": {"width": 360, "height": 640}})
    in_state(page, "driven")
    texts = ["The voice moves nothing.", "The camera sends no pictures. Plug it in again."]
    page.evaluate(
        """async texts => {
            const {Notices} = await import('/assets/notices.js');
            const notices = new Notices(document.getElementById('notices'));
            for (const text of texts) notices.show('error', text);
        }""",
        texts,
    )
    shown = page.locator(".notice:visible")
    assert shown.all_inner_texts() == texts[1:]
    frame, notice = page.locator("#frame").bounding_box(), shown.bounding_box()
    assert frame is not None
    assert notice is not None
    assert notice["y"] > frame["y"] + frame["height"] / 2
    shown.get_by_role("button", name="Dismiss").tap()
    assert shown.all_inner_texts() == texts[:1], "what was covered comes back"


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_text_stands_out_from_its_ground(desk: Desk, scheme: Literal["dark", "light"]) -> None:
    """WCAG 2.2, 1.4.3: a contrast of 4.5 for text, faint text included."""
    desk.page.emulate_media(color_scheme=scheme)
    ratios = desk.page.evaluate(
        """() => {
            const style = getComputedStyle(document.documentElement);
            const light = name => {
                const hex = style.getPropertyValue(name).trim();
                const [r, g, b] = [1, 3, 5].map(i => parseInt(hex.slice(i, i + 2), 16) / 255)
                    .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
                return 0.2126 * r + 0.7152 * g + 0.0722 * b;
            };
            const pairs = [['--ink', '--panel'], ['--ink-2', '--raised'], ['--ink-3', '--panel'],
                ['--ink-3', '--raised'], ['--accent', '--panel'],
                ['--on-accent', '--accent'], ['--alarm', '--panel']];
            return pairs.map(([a, b]) => {
                const [high, low] = [light(a), light(b)].sort((x, y) => y - x);
                return [a + ' on ' + b, (high + 0.05) / (low + 0.05)];
            });
        }"""
    )
    assert [pair for pair, ratio in ratios if ratio < 4.5] == []


def test_the_modules_agree_with_their_documents(desk: Desk) -> None:
    page = desk.page
    servers = page.evaluate(
        """async () => (await import('/assets/exchange.js')).iceServers(
            '<stun:a.example>; rel="ice-server", ' +
            '<turn:b.example:3478?transport=udp>; rel="ice-server"; username="u"; credential="c"; ' +
            'credential-type="password", </elsewhere>; rel="next"')"""
    )
    assert servers == [
        {"urls": "stun:a.example"},
        {"urls": "turn:b.example:3478?transport=udp", "username": "u", "credential": "c"},
    ]
    waits = page.evaluate(
        "async () => { const k = await import('/assets/keeper.js'); return [1, 2, 3, 9].map(k.backoffMs) }"
    )
    assert waits == [400, 800, 1600, 5000]
    merged = page.evaluate(
        """async () => (await import('/assets/controls.js')).merged(
            {head: {yaw: 1, roll: 2}, paused: false}, {head: {yaw: 5}})"""
    )
    assert merged == {"head": {"yaw": 5, "roll": 2}, "paused": False}
