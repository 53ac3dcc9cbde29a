"""RTP packets to whole frames, as soon as they are whole.

aiortc's own jitter buffer hands a frame on only when the first packet of the *next* frame arrives: one
frame interval late (40 ms at 25 fps). The last packet of a frame carries the marker bit (RFC 6184 section
5.1, RFC 7741 section 4.1), so a frame is complete when it and everything before it are there.

Pure logic: no sockets, no clock; arrival times are arguments.
"""

from __future__ import annotations

from dataclasses import dataclass

from mien.clock import NS_PER_MS


@dataclass(frozen=True, slots=True)
class Piece:
    """The payload of one RTP packet, already depacketized. sequence: unwrapped, so it never jumps back."""

    sequence: int
    timestamp: int
    marker: bool
    data: bytes
    arrival_ns: int


@dataclass(frozen=True, slots=True)
class AssembledFrame:
    """One coded picture. first_ns, last_ns: arrival of its first and its last packet, engine clock."""

    data: bytes
    timestamp: int
    first_ns: int
    last_ns: int


class FrameAssembler:
    """Puts packets in order and hands out frames the moment they are complete.

    Lost packets are waited for (they come again when the receiver asks by NACK) up to `patience_ns`; then
    everything up to the next frame start is given up and `broken` is set until `mend` is called: what
    follows refers to pictures that never came, so the caller asks for a key frame and waits for it.
    """

    def __init__(self, capacity: int = 512, patience_ns: int = 200 * NS_PER_MS) -> None:
        self._capacity = capacity
        self._patience_ns = patience_ns
        self._pieces: dict[int, Piece] = {}
        self._started = False
        self._next = 0
        self._highest = 0
        self._gap: int | None = None
        self._gap_since_ns = 0
        self.broken = False
        self.given_up = 0
        """packets that never came"""

    def mend(self) -> None:
        """A key frame came: what follows can be decoded again."""
        self.broken = False

    def add(
        self, sequence_number: int, timestamp: int, marker: bool, data: bytes, arrival_ns: int
    ) -> list[AssembledFrame]:
        """Take one packet; return the frames that it completes, in order (usually none or one)."""
        if not self._started:
            self._started = True
            self._next = self._highest = sequence_number
        sequence = self._unwrap(sequence_number)
        if sequence < self._next - self._capacity or sequence >= self._next + self._capacity:
            self._restart(sequence)
        if sequence < self._next or sequence in self._pieces:
            return []
        self._highest = max(self._highest, sequence)
        self._pieces[sequence] = Piece(sequence, timestamp, marker, data, arrival_ns)
        frames = self._pop_complete()
        frames += self._lose_patience(arrival_ns)
        return frames

    def _unwrap(self, sequence_number: int) -> int:
        step = (sequence_number - self._highest) & 0xFFFF
        return self._highest + (step if step < 0x8000 else step - 0x10000)

    def _restart(self, sequence: int) -> None:
        """The sender started anew, or so much is missing that nothing before is worth waiting for."""
        self._pieces.clear()
        self._next = self._highest = sequence
        self._gap = None
        self.broken = True

    def _pop_complete(self) -> list[AssembledFrame]:
        frames: list[AssembledFrame] = []
        while pieces := self._front_frame():
            self._next += len(pieces)
            for piece in pieces:
                del self._pieces[piece.sequence]
            if not any(piece.data for piece in pieces):
                continue  # padding: libwebrtc probes the bandwidth with it, between two pictures
            arrivals = [piece.arrival_ns for piece in pieces]
            frames.append(
                AssembledFrame(
                    data=b"".join(piece.data for piece in pieces),
                    timestamp=pieces[0].timestamp,
                    first_ns=min(arrivals),
                    last_ns=max(arrivals),
                )
            )
        return frames

    def _front_frame(self) -> list[Piece]:
        """The packets of the frame at the front when all are there, else nothing."""
        pieces: list[Piece] = []
        while piece := self._pieces.get(self._next + len(pieces)):
            if pieces and piece.timestamp != pieces[0].timestamp:
                return pieces  # a sender that sets no marker
            pieces.append(piece)
            if piece.marker:
                return pieces
        return []

    def _lose_patience(self, now_ns: int) -> list[AssembledFrame]:
        """Skip a gap at the front that has been open for too long."""
        gap = self._front_gap()
        if gap is None or gap != self._gap:
            self._gap, self._gap_since_ns = gap, now_ns
            return []
        if now_ns - self._gap_since_ns < self._patience_ns:
            return []
        self.broken = True
        self._skip_to_frame_start()
        return self._pop_complete()

    def _front_gap(self) -> int | None:
        """The first packet that is missing though later ones are there."""
        if len(self._pieces) >= self._highest - self._next + 1:
            return None
        return next(n for n in range(self._next, self._highest + 1) if n not in self._pieces)

    def _skip_to_frame_start(self) -> None:
        """Drop the damaged frame, and what else has holes, up to a packet that surely starts a frame."""
        last_hole = max(n for n in range(self._next, self._highest + 1) if n not in self._pieces)
        self.given_up += sum(n not in self._pieces for n in range(self._next, last_hole + 1))
        start = last_hole + 1
        while (piece := self._pieces.get(start)) is not None and not piece.marker:
            start += 1  # the rest of the damaged frame
        for sequence in [n for n in self._pieces if n <= start]:
            del self._pieces[sequence]
        self._next = start + 1 if piece is not None else start


def is_keyframe(codec: str, data: bytes) -> bool:
    """Whether a coded picture can be decoded without any before it.

    codec: "H264" (Annex B: an IDR slice or a sequence parameter set) or "VP8" (RFC 6386 section 9.1).
    """
    if codec == "VP8":
        return len(data) > 9 and not data[0] & 1 and data[3:6] == b"\x9d\x01\x2a"
    start = data.find(b"\x00\x00\x01")
    while 0 <= start < len(data) - 3:
        if data[start + 3] & 0x1F in {5, 7}:
            return True
        start = data.find(b"\x00\x00\x01", start + 3)
    return False
