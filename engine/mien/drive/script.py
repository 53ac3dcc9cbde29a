"""What the demo performance does, in order: the text of its one-minute play.

Written for this project; nobody was recorded. Times in s on the loop, angles in degrees. A turn of the head
is given with the gaze that leads it, and the words with the moods that go with them.
"""

from __future__ import annotations

from typing import NamedTuple

DURATION_S = 52.0


class Line(NamedTuple):
    """Words in ARPAbet (see `speech.timed`), said from `start_s` on."""

    start_s: float
    words: str
    pace: float = 1.0


class Look(NamedTuple):
    """Look at yaw, pitch from `start_s` on; the head follows `share` of the way and tilts to `roll`."""

    start_s: float
    yaw: float
    pitch: float
    share: float = 0.6
    roll: float = 0.0


class Mood(NamedTuple):
    """An emotion named in `moods.MOODS`: when it starts, how strong, and how long each part takes."""

    start_s: float
    name: str
    amount: float
    attack_s: float
    hold_s: float
    release_s: float


class Nod(NamedTuple):
    """`times` nods (head shakes when `yaw`), each smaller than the one before; degrees of the first."""

    start_s: float
    degrees: float
    times: int = 1
    yaw: bool = False


class Lean(NamedTuple):
    """Towards the viewer (amount below 0) or back, as the log of the depth ratio."""

    start_s: float
    hold_s: float
    amount: float


LINES = (
    # Hello! It's good to see you.
    Line(0.7, "HH AH L OW1 , IH T S G UH1 D T AH S IY1 Y UW ."),
    # I am only a photograph, but I can talk, and smile, and look around.
    Line(4.5, "AY AE M OW1 N L IY AH F OW1 T AH G R AE F , B AH T AY K AE N T AO1 K ,"),
    Line(7.35, "AH N D S M AY1 L , AH N L UH1 K AH R AW1 N D ."),
    # Hm, what else can I do?
    Line(14.2, "M , W AH T EH1 L S K AE N AY D UW1 .", 0.9),
    # Give me a camera, and I will do whatever you do.
    Line(18.6, "G IH1 V M IY AH K AE1 M ER AH , AH N AY W IH L D UW1 W AH T EH1 V ER Y UW1 D UW ."),
    # Oh, really? That's wonderful!
    Line(28.1, "OW1 , R IH1 L IY ."),
    Line(30.0, "DH AE1 T S W AH1 N D ER F AH L ."),
    # Well, maybe we should try it. You go first.
    Line(38.4, "W EH1 L , M EY1 B IY W IY SH UH D T R AY1 IH T , Y UW1 G OW F ER1 S T ."),
)

LOOKS = (
    Look(0.0, 0, 0, roll=-2.0),
    Look(3.3, 0, 0, roll=2.5),
    Look(4.9, -13, 3, 0.5),
    Look(6.1, 0, 0, roll=-1.5),
    Look(8.25, 18, 2, 0.64, roll=2.0),
    Look(9.15, -17, -2, 0.66, roll=-2.5),
    Look(10.15, 0, 0, roll=3.0),
    Look(12.7, -14, 11, 0.5, roll=-4.5),
    Look(14.9, 11, 8, 0.45, roll=-3.0),
    Look(16.6, 0, 0, roll=0.0),
    Look(19.1, -8, -3, 0.7, roll=1.5),
    Look(20.3, 0, 0, roll=-2.0),
    Look(21.6, 10, 4, 0.5, roll=1.0),
    Look(22.5, 0, 0, roll=-1.0),
    Look(24.2, 0, 0, roll=6.0),
    Look(27.7, 0, 0, roll=0.0),
    Look(31.6, 5, -9, 0.8, roll=-4.0),
    Look(33.0, 0, 0, roll=-1.0),
    Look(35.2, 20, -3, 0.62, roll=-1.5),
    Look(36.9, 0, 0, roll=1.5),
    Look(38.6, -11, 6, 0.5, roll=-2.5),
    Look(40.0, 0, 0, roll=2.0),
    Look(43.4, 0, 0, roll=-6.5),
    Look(46.4, 8, -10, 0.5, roll=-3.0),
    Look(47.6, 0, 0, roll=1.0),
    Look(50.2, 0, 0, roll=-2.0),
)

MOODS_PLAYED = (
    Mood(0.1, "greeting", 0.9, 0.3, 0.25, 0.7),
    Mood(0.3, "smile", 0.75, 0.5, 1.9, 1.3),
    Mood(7.7, "smile", 0.55, 0.35, 0.5, 1.2),
    Mood(10.3, "smile", 0.9, 0.5, 0.7, 1.1),
    Mood(10.6, "laugh", 0.65, 0.35, 0.7, 0.8),
    Mood(12.6, "thinking", 1.0, 0.45, 2.6, 0.6),
    Mood(16.4, "idea", 0.9, 0.25, 0.5, 0.8),
    Mood(16.6, "smile", 0.6, 0.5, 0.9, 1.1),
    Mood(22.3, "smile", 0.6, 0.6, 0.8, 1.2),
    Mood(24.1, "interest", 1.0, 0.6, 2.4, 0.7),
    Mood(27.5, "surprise", 1.0, 0.2, 0.7, 0.7),
    Mood(29.6, "smile", 0.9, 0.45, 2.6, 1.4),
    Mood(31.2, "laugh", 1.0, 0.3, 1.3, 0.9),
    Mood(35.3, "interest", 0.6, 0.4, 0.8, 0.6),
    Mood(38.3, "doubt", 0.7, 0.4, 0.9, 0.7),
    Mood(41.2, "smile", 0.7, 0.5, 1.0, 1.3),
    Mood(43.4, "concern", 0.9, 0.7, 1.6, 0.9),
    Mood(46.4, "pressed", 0.9, 0.35, 0.6, 0.6),
    Mood(48.0, "smile", 0.55, 0.9, 2.0, 1.6),
)

NODS = (
    Nod(1.0, 4.0),
    Nod(3.6, 5.0, 2),
    Nod(10.8, 3.0, 4),
    Nod(17.0, 6.0),
    Nod(22.9, 4.0, 2),
    Nod(25.0, 6.0, 3),
    Nod(31.3, 3.5, 5),
    Nod(33.6, 5.0, 2),
    Nod(38.7, 4.0, 3, yaw=True),
    Nod(42.0, 5.0),
    Nod(44.5, 5.0, 2),
    Nod(48.6, 4.5, 2),
)

LEANS = (
    Lean(4.2, 3.0, -0.02),
    Lean(10.4, 1.2, 0.025),
    Lean(24.0, 2.8, -0.035),
    Lean(31.2, 1.6, 0.035),
    Lean(39.8, 2.2, -0.025),
    Lean(43.2, 2.0, -0.02),
)
