"""What a source is there for: to be seen, to be heard, or both."""

from __future__ import annotations

from mien.config import Drive
from mien.stage import Source


class Roles:
    """After `[run] drive`. Ask about sources that are open: before, they don't know what they hold; some don't until
    it comes.
    """

    def __init__(self, drive: Drive) -> None:
        self._drive = drive

    def sees(self, source: Source) -> bool:
        """Whether its pictures, or the motion it holds, drive."""
        return self._drive != "voice" and not only_sound(source)

    def hears(self, source: Source, *, beside: bool = False) -> bool:
        """Whether its sound moves the mouth, if there is any. beside: it is the voice beside the source that drives."""
        if self._drive == "auto":
            return beside or only_sound(source)
        return self._drive != "camera"


def has_sound(source: Source) -> bool:
    """Whether sound is sure to come from it."""
    return source.info.audio_rate is not None


def only_sound(source: Source) -> bool:
    """Whether nothing but sound comes from it: a microphone, a program, a file of sound."""
    return source.subject is None and source.info.width is None and has_sound(source)
