"""Reading SDP from strangers: offers (RFC 8866, JSEP) and trickle fragments (RFC 8840)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from aiortc import RTCIceCandidate
from aiortc.codecs import CODECS
from aiortc.rtcpeerconnection import find_common_codecs
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.sdp import MediaDescription, SessionDescription, candidate_from_sdp

from mien_webrtc.problems import Problem

MAX_CANDIDATES = 64

PARSE_ERRORS = (
    ValueError,
    AssertionError,
    LookupError,
    StopIteration,
    TypeError,
    AttributeError,
)
"""What aiortc's SDP parser raises for malformed text: it asserts, indexes and unpacks freely."""

_RECEIVES = {"recvonly", "sendrecv"}
_SENDS = {"sendonly", "sendrecv"}
_TURN = {True: "a viewer receives", False: "a publisher sends"}


@dataclass(frozen=True, slots=True)
class Section:
    """One media section of an offer. codecs: those that both sides know, in the offerer's order."""

    kind: str
    mid: str
    direction: str
    codecs: tuple[RTCRtpCodecParameters, ...]

    def has(self, codec: str) -> bool:
        return any(c.name.lower() == codec.lower() for c in self.codecs)


@dataclass(frozen=True, slots=True)
class Offer:
    """An offer that can be answered. sdp: cleaned; ufrag, password: the offerer's ICE credentials."""

    sdp: str
    sections: tuple[Section, ...]
    ufrag: str
    password: str

    def section(self, kind: str) -> Section | None:
        return next((s for s in self.sections if s.kind == kind), None)


def malformed(why: str) -> Problem:
    """400 with the reason."""
    return Problem(400, "malformed-sdp", "The SDP cannot be used", why)


def usable_candidate(line: str) -> bool:
    """Whether an ICE candidate is one that can be reached: UDP, with an address.

    mDNS names (`.local`) are left out: resolving one would hold the answer up for as long as a second,
    and the peer behind it is learnt from its own checks anyway.
    """
    parts = line.split()
    return len(parts) >= 8 and parts[2].lower() == "udp" and not parts[4].lower().endswith(".local")


def read_offer(body: bytes, *, viewer: bool) -> Offer:
    """Parse and check an offer to watch (viewer) or to publish. Raises `Problem` 400 or 422."""
    text = _text(body)
    lines = [line for line in text.splitlines() if line]
    if not lines or lines[0].strip() != "v=0":
        raise malformed("It does not start with v=0.")
    if sum(line.startswith("a=candidate:") for line in lines) > MAX_CANDIDATES:
        raise malformed(f"It holds more than {MAX_CANDIDATES} candidates.")
    # End-of-candidates is left out too: aioice would take "none, and no more" for the end of all hope,
    # though a peer behind mDNS names is yet to be learnt from its checks. The deadline judges instead.
    sdp = "".join(f"{line}\r\n" for line in lines if _kept(line))
    try:
        description = SessionDescription.parse(sdp)
        sections = tuple(_section(media, viewer=viewer) for media in description.media)
    except PARSE_ERRORS as error:
        raise malformed("It could not be parsed.") from error
    _check_sections(sections, description)
    ice = description.media[0].ice
    if ice is None or not ice.usernameFragment or not ice.password:
        raise malformed("ICE credentials are missing.")
    return Offer(sdp, sections, ice.usernameFragment, ice.password)


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        raise malformed("It is not UTF-8 text.") from None


def _kept(line: str) -> bool:
    if line.startswith("a=candidate:"):
        return usable_candidate(line)
    return not line.startswith("a=end-of-candidates")


def _section(media: MediaDescription, *, viewer: bool) -> Section:
    if media.kind not in {"audio", "video"}:
        raise Problem(
            422,
            "unsupported-media",
            "Only sound and pictures are exchanged here",
            f"Leave the '{media.kind}' section out of the offer.",
        )
    if media.dtls is None or not media.dtls.fingerprints:
        raise malformed("The DTLS fingerprint or the setup attribute is missing.")
    if not media.rtcp_mux:
        raise malformed("RTCP must be multiplexed (a=rtcp-mux).")
    direction = media.direction or "sendrecv"
    if direction not in (_RECEIVES if viewer else _SENDS):
        raise Problem(
            422,
            "wrong-direction",
            "The offer points the wrong way",
            f"The {media.kind} section is {direction}; {_TURN[viewer]}.",
        )
    common = tuple(find_common_codecs(CODECS[media.kind], media.rtp.codecs))
    section = Section(media.kind, media.rtp.muxId, direction, common)
    if not (section.has("opus") if media.kind == "audio" else section.has("H264") or section.has("VP8")):
        known = "Opus" if media.kind == "audio" else "H.264 (packetization mode 1, baseline) or VP8"
        raise Problem(422, "no-common-codec", "No common codec", f"Offer {known} for {media.kind}.")
    return section


def _check_sections(sections: tuple[Section, ...], description: SessionDescription) -> None:
    if not sections:
        raise malformed("It has no media sections.")
    kinds = [section.kind for section in sections]
    if len(set(kinds)) != len(kinds):
        raise Problem(
            422, "too-many-sections", "One picture and one sound", "Offer at most one section of each kind."
        )
    if len(sections) == 1:
        return
    bundled = {mid for group in description.group if group.semantic == "BUNDLE" for mid in group.items}
    mids = {section.mid for section in sections}
    if len(mids) != len(sections) or not mids <= bundled:
        raise malformed("All sections must have a mid and be in one BUNDLE group.")


@dataclass(frozen=True, slots=True)
class Fragment:
    """A trickle fragment: more candidates, or (with other credentials) the wish to restart ICE."""

    ufrag: str
    password: str
    candidates: tuple[RTCIceCandidate, ...]


def read_fragment(body: bytes) -> Fragment:
    """Parse `application/trickle-ice-sdpfrag`. Raises `Problem` 400."""
    ufrag = password = ""
    mid: str | None = None
    found: list[RTCIceCandidate] = []
    for line in _text(body).splitlines():
        name, _, value = line.partition(":")
        match name:
            case "a=ice-ufrag":
                ufrag = ufrag or value.strip()
            case "a=ice-pwd":
                password = password or value.strip()
            case "a=mid":
                mid = value.strip()
            case "a=candidate":
                if usable_candidate(value) and len(found) < MAX_CANDIDATES:
                    found.append(_candidate(value, mid))
            case _:
                if line and not re.match(r"[a-z]=", line):
                    raise malformed(f"'{line[:40]}' is no SDP line.")
    return Fragment(ufrag, password, tuple(found))


def _candidate(value: str, mid: str | None) -> RTCIceCandidate:
    try:
        candidate = candidate_from_sdp(value)
    except PARSE_ERRORS as error:
        raise malformed(f"'{value[:60]}' is no ICE candidate.") from error
    candidate.sdpMid = mid
    candidate.sdpMLineIndex = None if mid else 0
    return candidate


def with_rate_hints(answer: str, *, start_kbps: int, minimum_kbps: int) -> str:
    """Tell a libwebrtc publisher where to begin; others ignore the unknown parameters.

    It begins at 300 kbit/s otherwise, and a receiver's estimate of a stream so thin takes many seconds to
    let it grow: long enough for a face to be tracked on mush.
    """
    hints = f";x-google-start-bitrate={start_kbps};x-google-min-bitrate={minimum_kbps}"
    video = False
    lines = []
    for line in answer.splitlines():
        if line.startswith("m="):
            video = line.startswith("m=video")
        apt = "apt=" in line
        lines.append(line + hints if video and line.startswith("a=fmtp:") and not apt else line)
    return "".join(f"{line}\r\n" for line in lines)
