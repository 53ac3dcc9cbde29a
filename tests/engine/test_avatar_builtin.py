"""The avatar that is there before anybody made one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mien.avatar.builtin import builtin_avatar
from mien.avatar.package import AvatarContent
from mien.face.camera import Camera
from mien.face.subject import Subject
from mien.frames import Bytes
from mien.stage import Context, Maker
from mien.testing.context import FakeContext

pytestmark = pytest.mark.plugin
pytest.importorskip("skimage")


class FakeMaker(Maker):
    """Keeps the picture, and counts."""

    def __init__(self) -> None:
        self.opened = self.made = self.closed = 0

    def open(self, context: Context) -> None:
        self.opened += 1

    def make(self, portrait: Bytes, alpha: Bytes | None = None) -> AvatarContent:
        self.made += 1
        side = portrait.shape[1]
        subject = Subject("mien-head", np.zeros(3, np.float32), Camera.guess(side, side))
        return AvatarContent("photo", "mien-head", subject, {"portrait": portrait})

    def close(self) -> None:
        self.closed += 1


def test_is_made_once(tmp_path: Path) -> None:
    first, second = FakeMaker(), FakeMaker()
    made = builtin_avatar(first, FakeContext(), tmp_path / "cache")
    found = builtin_avatar(second, FakeContext(), tmp_path / "cache")
    assert (first.opened, first.made, first.closed) == (1, 1, 1)
    assert (second.opened, second.made, second.closed) == (0, 0, 0)
    assert made.content.title == found.content.title == "Astronaut"
    assert found.consent.basis == "public-domain"
    assert "NASA" in found.consent.statement
    np.testing.assert_array_equal(found.content.images["portrait"], made.content.images["portrait"])
    assert found.content.images["portrait"].shape == (512, 512, 3)


def test_other_settings_make_another(tmp_path: Path) -> None:
    maker = FakeMaker()
    builtin_avatar(maker, FakeContext(), tmp_path)
    builtin_avatar(maker, FakeContext(settings={"size": 2}), tmp_path)
    assert maker.made == 2


def test_a_damaged_cache_is_made_anew(tmp_path: Path) -> None:
    maker, context = FakeMaker(), FakeContext()
    builtin_avatar(maker, context, tmp_path)
    (cached,) = tmp_path.iterdir()
    cached.write_bytes(cached.read_bytes()[:100])
    builtin_avatar(maker, context, tmp_path)
    assert maker.made == 2
    assert any("anew" in text for text in context.notices)
    builtin_avatar(maker, context, tmp_path)
    assert maker.made == 2


def test_without_a_writable_cache_it_still_works(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    context = FakeContext()
    avatar = builtin_avatar(FakeMaker(), context, tmp_path / "file" / "cache")
    assert avatar.content.title == "Astronaut"
    assert len(context.notices) == 1
