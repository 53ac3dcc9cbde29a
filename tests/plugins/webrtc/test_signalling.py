"""WHIP and WHEP as the documents define them: methods, codes, headers. No media flows here."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from aiortc import RTCPeerConnection
from starlette.requests import ClientDisconnect
from webrtc_fakes import FakeEngine, http, make_app, make_rooms

from mien.errors import ConfigError
from mien.stage import Output
from mien.testing.stages import ScriptedSource
from mien_webrtc.ice import IceServer
from mien_webrtc.offers import read_fragment, read_offer
from mien_webrtc.problems import Problem

pytestmark = pytest.mark.plugin

SDP = {"Content-Type": "application/sdp"}
FRAGMENT = {"Content-Type": "application/trickle-ice-sdpfrag"}

SERVERS = (
    IceServer.parse("stun:stun.example:3478"),
    IceServer.parse("turn:me:secret@turn.example?transport=udp"),
)


@pytest_asyncio.fixture
async def web() -> AsyncIterator[httpx.AsyncClient]:
    rooms = make_rooms(FakeEngine())
    async with http(make_app(rooms)) as client:
        yield client
        await rooms.close_all()


async def offer(*kinds: str, direction: str = "recvonly") -> str:
    """What a client would post."""
    pc = RTCPeerConnection()
    for kind in kinds or ("video",):
        pc.addTransceiver(kind, direction)
    sdp = str((await pc.createOffer()).sdp)
    await pc.close()
    return sdp


async def joined(web: httpx.AsyncClient, path: str = "/whep/main") -> httpx.Response:
    direction = "recvonly" if "whep" in path else "sendonly"
    response = await web.post(path, content=await offer(direction=direction), headers=SDP)
    assert response.status_code == 201, response.text
    return response


async def test_a_fault_of_ours_is_not_called_the_offers(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise LookupError("ours")

    monkeypatch.setattr("mien_webrtc.room.prefer", fail)
    rooms = make_rooms(FakeEngine())
    room = await rooms.get("main")
    with pytest.raises(LookupError, match="ours"):
        await room.watch(read_offer((await offer()).encode(), viewer=True), loopback=True)
    assert not room.peers
    await rooms.close_all()


async def test_who_comes_while_a_session_closes_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    engine, gate = FakeEngine(), asyncio.Event()
    rooms = make_rooms(engine)
    room = await rooms.open("second")
    at_once = engine.close_session

    async def slowly(name: str) -> None:
        await gate.wait()
        await at_once(name)

    monkeypatch.setattr(engine, "close_session", slowly)
    async with http(make_app(rooms)) as web:
        closing = asyncio.create_task(rooms.close("second"))
        await asyncio.sleep(0)
        watching, publishing = await offer(), await offer(direction="sendonly")
        for refused in (
            await web.post("/whep/second", content=watching, headers=SDP),
            await web.post("/whip/second", content=publishing, headers=SDP),
            await web.post("/api/sessions", json={"name": "second"}),
            await web.delete("/api/sessions/second"),
        ):
            assert refused.status_code == 503
            assert refused.headers["Retry-After"]
        # Who was let in before comes too late as well.
        source = ScriptedSource([])
        for join in (
            room.watch(read_offer(watching.encode(), viewer=True), loopback=True),
            room.publish(read_offer(publishing.encode(), viewer=False), loopback=True),
            room.drive_with(source),
        ):
            with pytest.raises(Problem, match="being closed"):
                await join
        assert source.closed
        assert not room.peers
        gate.set()
        await closing
        assert (await web.post("/whep/second", content=watching, headers=SDP)).status_code == 404
        assert (await web.post("/whip/second", content=publishing, headers=SDP)).status_code == 201
        await rooms.close("second")
    assert list(engine.sessions) == ["main"]


async def test_who_is_let_in_just_as_the_room_closes_leaves_nothing_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    engine = FakeEngine()
    rooms = make_rooms(engine)
    room, outputs = await rooms.get("main"), engine.main.outputs
    add = engine.main.add_output

    async def closing(output: Output, plugin: str = "") -> None:
        await add(output, plugin)
        await rooms.close_all()

    monkeypatch.setattr(engine.main, "add_output", closing)
    with pytest.raises(Problem, match="being closed"):
        await room.watch(read_offer((await offer()).encode(), viewer=True), loopback=True)
    assert not room.peers
    assert not outputs


@pytest.mark.parametrize("path", ["/whep", "/whep/main", "/whip", "/whip/main"])
async def test_an_offer_is_answered(web: httpx.AsyncClient, path: str) -> None:
    response = await joined(web, path)
    assert response.headers["content-type"] == "application/sdp"
    assert re.fullmatch(rf"/{path[1:5]}/main/[\w-]{{10,}}", response.headers["Location"])
    assert re.fullmatch(r'"[\w-]+"', response.headers["ETag"])
    lines = response.text.splitlines()
    assert lines[0] == "v=0"
    assert ("a=sendonly" if "whep" in path else "a=recvonly") in lines
    assert any(line.startswith("a=candidate:") and " 127.0.0.1 " in line for line in lines)
    assert not any("srflx" in line for line in lines)  # nobody is asked for our address


async def test_h264_is_preferred_and_vp8_taken(web: httpx.AsyncClient) -> None:
    both = (await joined(web)).text
    assert "H264/90000" in both
    assert "VP8/90000" not in both
    sdp = await offer()
    only = re.sub(r"a=(rtpmap|fmtp|rtcp-fb):(99|100|101|102)\b.*\r\n", "", sdp).replace(" 99 100 101 102", "")
    response = await web.post("/whep/main", content=only, headers=SDP)
    assert "VP8/90000" in response.text


async def test_the_publisher_is_told_where_to_begin(web: httpx.AsyncClient) -> None:
    answer = (await joined(web, "/whip/main")).text
    assert re.search(r"a=fmtp:\d+ .*;x-google-start-bitrate=1500;", answer)


async def test_options(web: httpx.AsyncClient) -> None:
    response = await web.options("/whip/main")
    assert response.status_code == 204
    assert response.headers["Accept-Post"] == "application/sdp"
    assert "POST" in response.headers["Allow"]
    resource = await web.options("/whep/main/some-id")
    assert resource.headers["Accept-Patch"] == "application/trickle-ice-sdpfrag"


async def test_ice_servers_are_named_to_those_who_hold_the_token() -> None:
    rooms = make_rooms(FakeEngine(), SERVERS)
    async with http(make_app(rooms, "secret-token")) as web:
        stranger = await web.options("/whep/main")
        friend = await web.options("/whep/main", headers={"Authorization": "Bearer secret-token"})
        status = await web.get("/api/status", headers={"Authorization": "Bearer secret-token"})
    assert "Link" not in stranger.headers
    link = friend.headers["Link"]
    assert '<stun:stun.example:3478>; rel="ice-server"' in link
    assert '<turn:turn.example?transport=udp>; rel="ice-server"; username="me"; credential="secret"' in link
    assert status.json()["ice_servers"][1]["credential"] == "secret"


@pytest.mark.parametrize("text", ["example.org", "stun:", "turn:host-without-user", "http://x", "stun:a b"])
def test_what_is_no_ice_server(text: str) -> None:
    with pytest.raises(ConfigError, match=r"server\.ice_servers"):
        IceServer.parse(text)


async def test_wrong_kinds_of_content(web: httpx.AsyncClient) -> None:
    sdp = await offer()
    wrong = await web.post("/whep/main", content=sdp, headers={"Content-Type": "text/plain"})
    assert wrong.status_code == 415
    assert wrong.headers["Accept-Post"] == "application/sdp"
    nothing = await web.post("/whep/main", content=sdp)
    assert nothing.status_code == 415
    unacceptable = await web.post("/whep/main", content=sdp, headers=SDP | {"Accept": "text/html"})
    assert unacceptable.status_code == 406


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"hello",
        b"\xff\xfe\x00",
        b"v=0\r\n",
        b"v=0\r\nm=video\r\n",
        b"v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 999\r\n",
        b"v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96\r\n",
        b"v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=fmtp:97 x=y\r\n",
        b"v=0\r\na=setup:sideways\r\n",
        b"v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 H264/90000\r\na=setup:actpass\r\n",
    ],
)
@pytest.mark.parametrize("path", ["/whep/main", "/whip/main"])
async def test_malformed_sdp(web: httpx.AsyncClient, path: str, body: bytes) -> None:
    response = await web.post(path, content=body, headers=SDP)
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == 400
    assert problem["detail"]


@pytest.mark.parametrize("seed", range(40))
async def test_damaged_offers_never_break_the_server(web: httpx.AsyncClient, seed: int) -> None:
    import random

    rng = random.Random(seed)  # noqa: S311
    lines = (await offer("video", "audio")).splitlines()
    for _ in range(rng.randint(1, 6)):
        place = rng.randrange(len(lines))
        match rng.randrange(4):
            case 0:
                del lines[place]
            case 1:
                lines[place] = lines[place][: rng.randrange(len(lines[place]) + 1)]
            case 2:
                lines[place] = lines[place].replace(":", " ", 1)
            case 3:
                lines.insert(place, rng.choice(lines))
    response = await web.post("/whep/main", content="\r\n".join(lines) + "\r\n", headers=SDP)
    assert response.status_code in {201, 400, 422}
    if response.status_code == 201:
        await web.delete(response.headers["Location"])


async def test_offers_that_cannot_be_met(web: httpx.AsyncClient) -> None:
    backwards = await web.post("/whep/main", content=await offer(direction="sendonly"), headers=SDP)
    twice = await web.post("/whep/main", content=await offer("video", "video"), headers=SDP)
    sdp = await offer()
    strange = await web.post(
        "/whep/main", content=sdp.replace("H264", "AV1").replace("VP8", "VP9"), headers=SDP
    )
    unbundled = re.sub(r"a=group:BUNDLE.*\r\n", "", await offer("video", "audio"))
    apart = await web.post("/whep/main", content=unbundled, headers=SDP)
    assert [r.status_code for r in (backwards, twice, strange, apart)] == [422, 422, 422, 400]
    assert "H.264" in strange.json()["detail"]


async def test_nothing_is_left_of_a_refused_offer(web: httpx.AsyncClient) -> None:
    for _ in range(12):  # more than max_viewers
        await web.post("/whep/main", content=b"v=0\r\n", headers=SDP)
    assert (await web.get("/api/status")).json()["sessions"][0]["viewers"] == 0
    await joined(web)


async def test_a_body_that_never_comes_whole_opens_no_session() -> None:
    engine = FakeEngine()
    app = make_app(make_rooms(engine))
    messages = [
        {"type": "http.request", "body": b"v=0", "more_body": True},
        {"type": "http.disconnect"},
    ]

    async def receive() -> dict[str, object]:
        assert list(engine.sessions) == ["main"]
        return messages.pop(0)

    async def send(_: object) -> None:
        pass

    headers = [(b"host", b"127.0.0.1"), (b"content-type", b"application/sdp")]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/whip/guest",
        "raw_path": b"/whip/guest",
        "query_string": b"",
        "headers": headers,
        "client": ("127.0.0.1", 9),
    }
    with contextlib.suppress(ClientDisconnect):
        await app(scope, receive, send)  # type: ignore[arg-type]
    assert not messages
    assert list(engine.sessions) == ["main"]


async def test_unknown_sessions_and_connections(web: httpx.AsyncClient) -> None:
    watch = await web.post("/whep/nobody", content=await offer(), headers=SDP)
    assert watch.status_code == 404
    assert "nobody" in watch.json()["detail"]
    assert (await web.delete("/whep/main/nothing")).status_code == 404
    location = (await joined(web)).headers["Location"]
    assert (await web.delete(location.replace("whep", "whip"))).status_code == 404
    assert (await web.get(location)).status_code == 405
    assert (await web.put("/whep/main")).status_code == 405


async def test_trickling(web: httpx.AsyncClient) -> None:
    sdp = await offer()
    response = await web.post("/whep/main", content=sdp, headers=SDP)
    location, etag = response.headers["Location"], response.headers["ETag"]
    ufrag = re.search(r"a=ice-ufrag:(\S+)", sdp)
    password = re.search(r"a=ice-pwd:(\S+)", sdp)
    assert ufrag
    assert password
    body = (
        f"a=ice-ufrag:{ufrag[1]}\r\na=ice-pwd:{password[1]}\r\nm=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
        "a=candidate:1 1 udp 2122194687 127.0.0.1 9 typ host\r\n"
        "a=candidate:2 1 udp 2122194687 hidden.local 9 typ host\r\n"
        "a=candidate:3 1 tcp 1518214911 127.0.0.1 9 typ host tcptype active\r\na=end-of-candidates\r\n"
    )

    async def patch(content: str, **headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return (await web.patch(location, content=content, headers=FRAGMENT | named)).status_code

    assert await patch(body, If_Match=etag) == 204
    assert await patch(body) == 428
    assert await patch(body, If_Match='"another"') == 412
    assert await patch("a=candidate:1 1 udp x 127.0.0.1 9 typ host\r\n", If_Match=etag) == 400
    assert await patch("hello", If_Match=etag) == 400
    restart = body.replace(ufrag[1], "other")
    assert await patch(restart, If_Match="*") == 422
    assert (await web.patch(location, content=body, headers=SDP)).status_code == 415
    assert (await web.delete(location)).status_code == 200
    assert await patch(body, If_Match=etag) == 404


def test_a_fragment_is_read() -> None:
    fragment = read_fragment(
        b"a=ice-ufrag:abcd\r\na=ice-pwd:secret\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:7\r\n"
        b"a=candidate:1 1 UDP 2122194687 192.0.2.1 5000 typ host generation 0\r\n"
    )
    assert (fragment.ufrag, fragment.password) == ("abcd", "secret")
    [candidate] = fragment.candidates
    assert (candidate.ip, candidate.port, candidate.sdpMid) == ("192.0.2.1", 5000, "7")
    with pytest.raises(Problem):
        read_fragment(b"\xff")
