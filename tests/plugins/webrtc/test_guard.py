"""Who may talk to the server, and how much they may say."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from webrtc_fakes import FakeEngine, http, make_app, make_rooms

from mien.config import Config, load_config

pytestmark = pytest.mark.plugin

TOKEN = "correct horse battery staple"  # noqa: S105
SDP = {"Content-Type": "application/sdp"}


def client(token: str = "", config: Config | None = None) -> httpx.AsyncClient:
    return http(make_app(make_rooms(FakeEngine(config)), token))


@pytest.mark.parametrize(
    "request_line",
    [
        "POST /api/sessions",
        "DELETE /api/sessions/main",
        "POST /whep/main",
        "POST /whip",
        "DELETE /whep/main/x",
    ],
)
@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://127.0.0.1.evil.example"])
async def test_other_sites_may_do_nothing(request_line: str, origin: str) -> None:
    method, path = request_line.split()
    async with client() as web:
        response = await web.request(method, path, headers={"Origin": origin, **SDP})
    assert response.status_code == 403
    assert response.json()["type"].endswith("cross-site")
    assert "Access-Control-Allow-Origin" not in response.headers


@pytest.mark.parametrize("origin", ["http://127.0.0.1", "http://localhost:3000", "http://[::1]:8000"])
async def test_this_machine_may(origin: str) -> None:
    async with client() as web:
        response = await web.post("/api/sessions", json={}, headers={"Origin": origin})
    assert response.status_code == 201
    assert response.headers["Access-Control-Allow-Origin"] == origin


async def test_a_named_origin_may() -> None:
    config = load_config(options={"server.origins": ["https://studio.example"]})
    async with client(config=config) as web:
        response = await web.options(
            "/whep/main",
            headers={"Origin": "https://studio.example", "Access-Control-Request-Method": "POST"},
        )
    assert response.headers["Access-Control-Allow-Origin"] == "https://studio.example"
    assert "Authorization" in response.headers["Access-Control-Allow-Headers"]
    assert "Location" in response.headers["Access-Control-Expose-Headers"]


async def test_a_name_that_was_rebound_to_loopback_reaches_nothing() -> None:
    async with client() as web:
        response = await web.get("/api/status", headers={"Host": "evil.example"})
    assert response.status_code == 421


@pytest.mark.parametrize("bound", ["127.0.0.1", "0.0.0.0"])
async def test_a_host_that_is_none(bound: str) -> None:
    async with client(TOKEN, load_config(options={"server.host": bound})) as web:
        response = await web.get("/api/status", headers={"Host": "[::1"})
    assert response.status_code == 400
    assert response.json()["type"].endswith("bad-host")


@pytest.mark.parametrize("origin", ["http://[::1", "http://[nonsense]", "http://]"])
async def test_an_origin_that_is_none(origin: str) -> None:
    async with client() as web:
        refused = await web.post("/api/sessions", json={}, headers={"Origin": origin})
        read = await web.get("/api/status", headers={"Origin": origin})
    assert refused.status_code == 403
    assert read.status_code == 200
    assert "Access-Control-Allow-Origin" not in read.headers


async def test_off_loopback_only_the_same_host_may() -> None:
    config = load_config(options={"server.host": "0.0.0.0"})
    async with client(TOKEN, config) as web:
        headers = {"Host": "avatar.lan:8765", "Authorization": f"Bearer {TOKEN}"}
        same = await web.post(
            "/api/sessions", json={}, headers=headers | {"Origin": "http://avatar.lan:8765"}
        )
        other = await web.post("/api/sessions", json={}, headers=headers | {"Origin": "http://127.0.0.1"})
    assert same.status_code == 201
    assert other.status_code == 403


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": "Basic eDp5"}, 401),
        ({"Authorization": f"Bearer {TOKEN}"}, 201),
        ({"Authorization": f"bearer {TOKEN}"}, 201),
    ],
)
async def test_the_token(headers: dict[str, str], status: int) -> None:
    async with client(TOKEN) as web:
        response = await web.post("/api/sessions", json={}, headers=headers)
    assert response.status_code == status
    if status == 401:
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
        assert response.headers["content-type"] == "application/problem+json"


async def test_a_token_in_the_address_works_for_reading_only() -> None:
    async with client(TOKEN) as web:
        read = await web.get("/api/sessions/main/avatar.jpg", params={"token": TOKEN})
        write = await web.post("/api/sessions", params={"token": TOKEN}, json={})
        wrong = await web.get("/api/sessions/main/avatar.jpg", params={"token": "wrong"})
    assert (read.status_code, write.status_code, wrong.status_code) == (200, 401, 401)


async def test_without_the_token_little_is_told() -> None:
    async with client(TOKEN) as web:
        stranger = (await web.get("/api/status")).json()
        friend = (await web.get("/api/status", headers={"Authorization": f"Bearer {TOKEN}"})).json()
        wrong = await web.get("/api/status", headers={"Authorization": "Bearer wrong"})
        metrics = await web.get("/metrics")
    assert set(stranger) == {"version", "auth_required"}
    assert stranger["auth_required"] is True
    assert friend["sessions"] == [{"name": "main", "state": "idle", "viewers": 0}]
    assert (wrong.status_code, metrics.status_code) == (401, 401)


async def test_a_large_body_is_refused_before_it_is_read() -> None:
    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    async with client() as web:
        response = await web.post(
            "/whep/main", content=never(), headers={**SDP, "Content-Length": str(1024 * 1024)}
        )
    assert response.status_code == 413
    assert response.headers["Connection"] == "close"


async def test_a_body_of_unknown_length_is_refused_while_it_is_read() -> None:
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b"v" * 1024

    async with client() as web:
        response = await web.post("/whip/main", content=endless(), headers=SDP)
    assert response.status_code == 413
    assert sent < 80


@pytest.mark.parametrize("length", ["-1", "many", "1e3"])
async def test_a_length_that_is_none(length: str) -> None:
    async with client() as web:
        response = await web.post("/whep/main", content=b"", headers={**SDP, "Content-Length": length})
    assert response.status_code == 413


async def test_security_headers_are_everywhere() -> None:
    async with client() as web:
        for path in ("/", "/api/status", "/nothing"):
            headers = (await web.get(path)).headers
            assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
            assert headers["X-Content-Type-Options"] == "nosniff"
            assert headers["Referrer-Policy"] == "no-referrer"
