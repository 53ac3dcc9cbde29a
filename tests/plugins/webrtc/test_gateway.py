"""The server as such: sockets, addresses, TLS, the control socket, a swift end."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from webrtc_fakes import PATIENCE_S, FakeEngine, configured, heard, served, showing, viewer
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from mien.errors import AddressError, ConfigError
from mien_webrtc.gateway import WebGateway, bind

pytestmark = pytest.mark.plugin


async def test_it_serves_and_stops_with_everybody_connected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien_webrtc.gateway.STOP_TIMEOUT_S", 2 * PATIENCE_S)  # nothing is given up on
    async with served() as (engine, gateway, address):
        assert address.startswith("http://127.0.0.1:")
        async with (
            httpx.AsyncClient(base_url=address) as web,
            connect(address.replace("http", "ws") + "api/sessions/main/control") as control,
            viewer(web) as client,
            showing(engine.main),
        ):
            await client.picture()
            async with asyncio.timeout(PATIENCE_S):
                await gateway.stop()
            assert not engine.main.outputs
            with pytest.raises(ConnectionClosed):
                await drained(control)
    async with httpx.AsyncClient() as web:
        with pytest.raises(httpx.ConnectError):
            await web.get(address)
    assert not [t for t in asyncio.all_tasks() if t is not asyncio.current_task() and "main" in t.get_name()]


async def drained(control: ClientConnection) -> None:
    """Read all that comes."""
    while True:
        await control.recv()


async def test_a_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(AddressError, match=rf"{port}.*--port"):
            await WebGateway().start(FakeEngine(configured(server__port=port)))  # type: ignore[arg-type]


@pytest.mark.parametrize("host", ["192.0.2.77", "no.such.host.invalid"])
def test_an_address_of_nobody(host: str) -> None:
    with pytest.raises(AddressError, match=host):
        bind(host, 0)


async def test_off_loopback_a_token_is_made_up_and_shown() -> None:
    async with served(configured(server__host="0.0.0.0")) as (_, _, address):
        base, _, token = address.partition("#token=")
        assert len(token) >= 24
        port = base.rstrip("/").rpartition(":")[2]
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as web:
            assert (await web.post("/api/sessions", json={})).status_code == 401
            headers = {"Authorization": f"Bearer {token}"}
            assert (await web.post("/api/sessions", json={}, headers=headers)).status_code == 201


async def test_bad_settings_are_named() -> None:
    with pytest.raises(ConfigError, match="max_viewers"):
        await WebGateway().start(FakeEngine(configured(plugin__webrtc__max_viewer=3)))  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="ice_servers"):
        await WebGateway().start(FakeEngine(configured(server__ice_servers=["nonsense"])))  # type: ignore[arg-type]


async def test_https(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    with pytest.raises(AddressError, match="--tls-key"):
        await WebGateway().start(FakeEngine(configured(server__tls_cert=cert)))  # type: ignore[arg-type]
    config = configured(server__tls_cert=cert, server__tls_key=key)
    with pytest.raises(AddressError, match=r"cert\.pem"):
        await WebGateway().start(FakeEngine(config))  # type: ignore[arg-type]
    cert.write_text("x")
    key.write_text("x")
    with pytest.raises(AddressError, match="belong together"):
        await WebGateway().start(FakeEngine(config))  # type: ignore[arg-type]
    make_certificate(cert, key)
    async with (
        served(config) as (_, _, address),
        httpx.AsyncClient(verify=ssl.create_default_context(cafile=str(cert))) as web,
    ):
        assert address.startswith("https://127.0.0.1:")
        assert (await web.get(f"{address}api/status")).status_code == 200


def make_certificate(cert: Path, key: Path) -> None:
    """Self-signed, for 127.0.0.1, good since yesterday and for two days."""
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(private, hashes.SHA256())
    )
    cert.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key.write_bytes(
        private.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


async def test_a_large_body_on_a_real_socket() -> None:
    async with served() as (_, _, address), httpx.AsyncClient(base_url=address) as web:
        response = await web.post(
            "/whip/main", content=b"v" * (1 << 20), headers={"Content-Type": "application/sdp"}
        )
        assert response.status_code == 413
        assert (await web.get("/api/status")).status_code == 200


# --- the control socket ---------------------------------------------------------------------------------


async def test_control() -> None:
    async with served() as (engine, _, address):
        url = address.replace("http", "ws") + "api/sessions/main/control"
        async with connect(url) as one, connect(url) as other:
            hello = await heard(one, "hello")
            assert len(hello["expressions"]) == 52
            assert hello["controls"]["paused"] is False
            assert hello["avatar"] == {"title": "test pattern"}
            await heard(other, "hello")

            await one.send(json.dumps({"type": "set", "controls": {"paused": True}}))
            assert (await heard(other, "controls"))["controls"]["paused"] is True
            assert engine.main.controls.paused

            await one.send(json.dumps({"type": "set", "controls": {"pausd": True}}))
            assert "pausd" in (await heard(one, "notice"))["text"]
            deep = '{"type": "set", "controls": ' + '{"head": ' * 900 + "{}" + "}" * 901
            orders = ('{"type": "do"}', '{"type": "do", "action": "explode"}')
            for nonsense in ("{", "[]", "[" * 60_000, deep, *orders):
                await one.send(nonsense)
                assert (await heard(one, "notice"))["level"] == "error"

            await one.send(json.dumps({"type": "do", "action": "recentre"}))
            await engine.main.told.put({"level": "info", "text": "Two faces."})
            assert (await heard(other, "notice"))["text"] == "Two faces."
            assert engine.main.recentred == 1
            assert (await heard(other, "stats"))["snapshot"]["fps"] == 25.0


async def test_recording_over_the_control_socket(tmp_path: Path) -> None:
    async with served() as (engine, _, address), httpx.AsyncClient(base_url=address) as web:
        engine.main.recordings = tmp_path
        async with connect(address.replace("http", "ws") + "api/sessions/main/control") as control:
            await control.send(json.dumps({"type": "do", "action": "record"}))
            assert (await heard(control, "recording"))["state"] == "on"
            await control.send(json.dumps({"type": "do", "action": "stop_recording"}))
            told = await heard(control, "recording")
        assert told["state"] == "off"
        assert (await web.get(told["url"])).content == b"a film"


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("api/sessions/nobody/control", {}, 404),
        ("api/sessions/main/control", {"Origin": "https://evil.example"}, 403),
    ],
)
async def test_sockets_that_are_refused(path: str, headers: dict[str, str], status: int) -> None:
    async with served() as (_, _, address):
        with pytest.raises(InvalidStatus) as refusal:
            async with connect(address.replace("http", "ws") + path, additional_headers=headers):
                pass
    assert refusal.value.response.status_code == status


async def test_the_socket_takes_the_token_from_its_address() -> None:
    config = configured(server__token="sesame-open")  # noqa: S106
    async with served(config) as (_, _, address):
        url = address.partition("#")[0].replace("http", "ws") + "api/sessions/main/control"
        with pytest.raises(InvalidStatus) as refusal:
            async with connect(url):
                pass
        assert refusal.value.response.status_code == 401
        async with connect(f"{url}?token=sesame-open") as control:
            await heard(control, "hello")
