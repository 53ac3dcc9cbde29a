"""WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep): an SDP offer is posted, the answer comes back.

Both have the same shape: POST to the endpoint makes a resource, PATCH brings it ICE candidates, DELETE
ends it. ICE restarts are refused (422), as both documents allow: a client connects anew.
"""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, Request, Response

from mien.engine import MAIN
from mien_webrtc.guard import is_loopback
from mien_webrtc.ice import link_header
from mien_webrtc.offers import read_fragment, read_offer
from mien_webrtc.peer import Peer
from mien_webrtc.problems import Problem
from mien_webrtc.rooms import Rooms

SDP = "application/sdp"
FRAGMENT = "application/trickle-ice-sdpfrag"

_ENDPOINT_METHODS = "POST, OPTIONS"
_RESOURCE_METHODS = "PATCH, DELETE, OPTIONS"


def router(rooms: Rooms) -> APIRouter:
    """Routes of both protocols, with and without the session's name."""
    routes = APIRouter()
    for protocol in ("whep", "whip"):
        _add(routes, rooms, protocol)
    return routes


def _add(routes: APIRouter, rooms: Rooms, protocol: str) -> None:
    async def offered(request: Request, name: str = MAIN) -> Response:
        _require_type(request, SDP)
        _require_acceptable(request)
        viewer = protocol == "whep"
        alpha = viewer and _wants_alpha(request)
        # Before a session is opened for it: a body may be long in coming, or never come whole.
        offer = read_offer(await request.body(), viewer=viewer)
        loopback = request.client is None or is_loopback(request.client.host)
        room = await (rooms.get(name) if viewer else rooms.get_or_open(name))
        if viewer:
            peer, answer = await room.watch(offer, loopback=loopback, alpha=alpha)
        else:
            peer, answer = await room.publish(offer, loopback=loopback)
        headers = {
            "Location": f"/{protocol}/{name}/{peer.id}",
            "ETag": peer.etag,
            "Accept-Patch": FRAGMENT,
            **link_header(rooms.ice_servers),
        }
        return Response(answer, 201, headers, media_type=SDP)

    async def options(request: Request) -> Response:
        headers = {"Accept-Post": SDP, **_cross_origin(request, _ENDPOINT_METHODS)}
        if request.scope["state"]["entitled"]:
            headers |= link_header(rooms.ice_servers)
        return Response(status_code=204, headers=headers)

    async def resource_options(request: Request) -> Response:
        return Response(
            status_code=204,
            headers={"Accept-Patch": FRAGMENT, **_cross_origin(request, _RESOURCE_METHODS)},
        )

    async def trickled(request: Request, name: str, peer_id: str) -> Response:
        _require_type(request, FRAGMENT)
        peer = await _peer(rooms, protocol, name, peer_id)
        fragment = read_fragment(await request.body())
        if peer.restarts(fragment):
            raise Problem(
                422,
                "no-ice-restart",
                "ICE cannot be restarted",
                "DELETE this resource and POST a new offer.",
            )
        _require_match(request, peer)
        await peer.trickle(fragment)
        return Response(status_code=204, headers={"ETag": peer.etag})

    async def deleted(name: str, peer_id: str) -> Response:
        peer = await _peer(rooms, protocol, name, peer_id)
        await peer.close()
        return Response(status_code=200)

    for path in (f"/{protocol}", f"/{protocol}/{{name}}"):
        routes.add_api_route(path, offered, methods=["POST"])
        routes.add_api_route(path, options, methods=["OPTIONS"])
    resource = f"/{protocol}/{{name}}/{{peer_id}}"
    routes.add_api_route(resource, trickled, methods=["PATCH"])
    routes.add_api_route(resource, deleted, methods=["DELETE"])
    routes.add_api_route(resource, resource_options, methods=["OPTIONS"])


def _wants_alpha(request: Request) -> bool:
    """`?alpha=below`: pictures with a transparent background come with their alpha, see `mien_webrtc.looks`."""
    place = request.query_params.get("alpha")
    if place not in (None, "below"):
        raise Problem(
            400, "bad-input", "Alpha comes below the colours only", "Ask for alpha=below, or leave it out."
        )
    return place is not None


async def _peer(rooms: Rooms, protocol: str, name: str, peer_id: str) -> Peer:
    room = await rooms.get(name)
    peer = room.peers.get(peer_id)
    if peer is None or peer.role != ("viewer" if protocol == "whep" else "publisher"):
        raise Problem(
            404, "unknown-connection", "There is no such connection", "It has ended; POST a new offer."
        )
    return peer


def _require_type(request: Request, expected: str) -> None:
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if given != expected:
        raise Problem(
            415,
            "wrong-content-type",
            "The content type does not fit",
            f"Send {expected}, not {given or 'nothing'}.",
            {"Accept-Patch" if expected == FRAGMENT else "Accept-Post": expected},
        )


def _require_acceptable(request: Request) -> None:
    accepted = request.headers.get("accept", "*/*").lower()
    kinds = {part.partition(";")[0].strip() for part in accepted.split(",")}
    if not kinds & {SDP, "application/*", "*/*"}:
        raise Problem(406, "not-acceptable", "The answer is SDP", f"Accept {SDP}, or say nothing.")


def _require_match(request: Request, peer: Peer) -> None:
    """RFC 9725 section 4.3.2: candidates belong to one ICE session, which the entity tag names."""
    given = request.headers.get("if-match")
    if given is None:
        raise Problem(
            428,
            "if-match-missing",
            "The entity tag is missing",
            f"Send If-Match: {peer.etag} with candidates.",
        )
    if given.strip() != "*" and peer.etag not in {tag.strip() for tag in given.split(",")}:
        raise Problem(412, "if-match-failed", "The entity tag is another", f"It is {peer.etag} now.")


def _cross_origin(request: Request, methods: str) -> Mapping[str, str]:
    """What a browser asks before it lets a page of another origin send (the Fetch standard's preflight).

    The guard adds the origin, when it is one that may.
    """
    headers = {"Allow": methods}
    if "access-control-request-method" in request.headers:
        headers |= {
            "Access-Control-Allow-Methods": methods,
            "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match",
            "Access-Control-Max-Age": "600",
        }
    return headers
