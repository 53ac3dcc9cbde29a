"""A package belongs to the edition of the face model that it was fitted with."""

import dataclasses
import json
import zipfile

import numpy as np
import pytest

from mien.avatar import fitted
from mien.avatar.describe import describe
from mien.avatar.making import make_avatar
from mien.avatar.package import Avatar, AvatarContent, Consent, load_avatar, save_avatar
from mien.config import load_config
from mien.errors import PackageError
from mien.face import model as models
from mien.face.camera import Camera
from mien.face.subject import Subject
from mien.plugins import Registry
from mien.stage import Kind, Maker, Plugin, Provides

pytestmark = pytest.mark.unit

CONSENT = Consent("I agree.", "Ada", "self", "2025-01-31")


@pytest.fixture(autouse=True)
def fresh():
    fitted.fingerprint.cache_clear()
    yield
    fitted.fingerprint.cache_clear()


def content():
    subject = Subject("mien-head", np.zeros(3, np.float32), Camera.guess(64, 64))
    return AvatarContent("photo", "mien-head", subject, {"portrait": np.zeros((64, 64, 3), np.uint8)})


def test_the_same_edition_opens(tmp_path):
    save_avatar(Avatar.new(fitted.stamped(content()), CONSENT), tmp_path / "ada.avatar")
    avatar = load_avatar(tmp_path / "ada.avatar")
    assert avatar.content.model_fingerprint == fitted.fingerprint("mien-head")
    assert len(avatar.content.model_fingerprint) == 16
    assert avatar.content.model_fingerprint in describe(avatar)


def test_another_edition_is_refused_with_the_mend(tmp_path, monkeypatch):
    save_avatar(Avatar.new(fitted.stamped(content()), CONSENT), tmp_path / "ada.avatar")
    model = models.load_model("mien-head")
    moved = dataclasses.replace(model, mean=model.mean + np.float32(0.01))
    monkeypatch.setattr(models, "load_model", lambda _: moved)
    fitted.fingerprint.cache_clear()
    with pytest.raises(PackageError, match=r"ada\.avatar.*another edition.*mien avatar create PHOTO"):
        load_avatar(tmp_path / "ada.avatar")


def test_packages_from_before_and_of_absent_models_open(tmp_path):
    save_avatar(Avatar.new(content(), CONSENT), tmp_path / "old.avatar")
    with zipfile.ZipFile(tmp_path / "old.avatar") as archive:
        manifest = json.loads(archive.read("manifest.json"))
    assert manifest["face_model_fingerprint"] == ""
    assert load_avatar(tmp_path / "old.avatar").content.model_fingerprint == ""
    foreign = dataclasses.replace(content(), face_model="no-such-model", model_fingerprint="0" * 16)
    save_avatar(Avatar.new(foreign, CONSENT), tmp_path / "foreign.avatar")
    assert load_avatar(tmp_path / "foreign.avatar").content.face_model == "no-such-model"


class TellingMaker(Maker):
    def open(self, context):
        self._context = context

    def make(self, portrait, alpha=None):
        self._context.notice("The portrait shows 2 faces; the largest is used.")
        return content()


def test_a_made_avatar_is_stamped_and_its_notices_name_the_photo(tmp_path):
    from PIL import Image

    photo = tmp_path / "ada.png"
    Image.new("RGB", (512, 512)).save(photo)
    maker = Plugin("m", "", (Provides(Kind.MAKER, "m", f"{__name__}:TellingMaker"),))
    told = []
    registry = Registry([maker])
    registry.create = lambda *_: TellingMaker()
    avatar = make_avatar(registry, load_config(), photo, CONSENT, "Ada", told.append)
    assert avatar.content.model_fingerprint == fitted.fingerprint("mien-head")
    assert told == [f"{photo}: The portrait shows 2 faces; the largest is used."]
    make_avatar(registry, load_config(), photo.read_bytes(), CONSENT, "Ada", told.append)
    with pytest.raises(PackageError, match="title"):
        make_avatar(registry, load_config(), photo, CONSENT, "Ada" * 100, told.append)
    assert told[1] == "The portrait shows 2 faces; the largest is used."
