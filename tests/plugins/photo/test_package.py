"""A package from a stranger is refused at the door, whatever is wrong with it: kernels look nothing up twice."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from mien.errors import PackageError
from mien.face.camera import rotation_matrix
from mien.face.model import load_model
from mien_photo import package, parts
from mien_photo.anatomy import skin_of

pytestmark = pytest.mark.plugin

OPTIONAL = {"portrait", "source_left", "source_right", "plate_left", "plate_right"}


def opened(content):
    model = load_model(content.face_model)
    return package.unpack(content, model, skin_of(model))


def refused(content, name):
    with pytest.raises(PackageError, match=name):
        opened(content)


def other_type(array):
    return array.astype(np.int64 if array.dtype == np.int32 else np.float64)


def no_number(array):
    value = np.nan if array.dtype == np.float32 else 2**30
    return np.full_like(array, value)


def huge(array):
    return np.full_like(array, np.finfo(np.float32).max if array.dtype == np.float32 else -(2**30))


def fewer(array):
    return array[:-1] if array.ndim else array[None]


def deeper(array):
    return array[..., None]


@pytest.mark.parametrize("damage", [other_type, no_number, huge, fewer, deeper])
def test_an_array_that_is_damaged_is_refused_by_name(avatar, damage):
    content = avatar.content
    for name, array in content.arrays.items():
        arrays = dict(content.arrays) | {name: damage(array)}
        # A grid with a node too few is told by whichever part does not go with it.
        told = "grid_" if name.startswith("grid_") else name
        refused(dataclasses.replace(content, arrays=arrays), told)


def test_no_part_may_be_missing(avatar):
    content = avatar.content
    for name in content.arrays:
        refused(
            dataclasses.replace(content, arrays={k: a for k, a in content.arrays.items() if k != name}), name
        )
    for name in set(content.images) - OPTIONAL:
        refused(
            dataclasses.replace(content, images={k: a for k, a in content.images.items() if k != name}), name
        )


def narrower(image):
    return image[:, :-1]


def colourless(image):
    return image[..., 0] if image.ndim == 3 else np.dstack([image] * 3)


@pytest.mark.parametrize("damage", [narrower, colourless])
def test_a_picture_that_is_damaged_is_refused_by_name(avatar, damage):
    content = avatar.content
    for name, image in content.images.items():
        if name == "portrait" and damage is narrower:
            continue  # for people only, of any size
        told = name.replace("source_", "(source|plate)_") if name != "source" else "source"
        refused(dataclasses.replace(content, images=dict(content.images) | {name: damage(image)}), told)


def test_a_person_who_cannot_be_is_refused(avatar):
    content = avatar.content
    subject = content.subject
    behind = -subject.rest_translation
    for field, value in (
        ("identity", subject.identity[:-1]),
        ("rest_translation", behind),
        ("neutral", np.full_like(subject.neutral, 1e30)),
        ("offsets", np.full_like(subject.offsets, np.nan)),
    ):
        wrong = dataclasses.replace(subject, **{field: value})
        refused(dataclasses.replace(content, subject=wrong), f"subject/{field}")
    camera = dataclasses.replace(subject.camera, width=500)
    refused(dataclasses.replace(content, subject=dataclasses.replace(subject, camera=camera)), "camera")


def test_a_face_that_reaches_behind_the_camera_is_refused(avatar):
    content = avatar.content
    subject = content.subject
    for value in (-subject.rest_translation, np.float32([0, 0, 500])):
        wrong = dataclasses.replace(subject, offsets=np.tile(value, (478, 1)))
        refused(dataclasses.replace(content, subject=wrong), "in front of its camera")


def test_whatever_order_its_arrays_have_kernels_get_theirs(avatar):
    content = avatar.content
    arrays = {name: np.array(array, order="F") for name, array in content.arrays.items()}
    photo = opened(dataclasses.replace(content, arrays=arrays))
    assert photo.grid.head.flags.c_contiguous
    assert photo.likeness.neutral.flags.c_contiguous
    assert photo.likeness.neutral.flags.writeable
    assert np.array_equal(photo.grid.head, content.arrays["grid_head"])


def within(part, shape, rng):
    """Any numbers that the part alone may hold."""
    low, high = np.broadcast_to(part.low, shape), np.broadcast_to(part.high, shape)
    return (low + (np.float64(high) - low) * rng.random(shape)).astype(part.dtype)


@pytest.mark.parametrize("name", ["neutral", "grid_still", "grid_head"])
def test_what_would_cover_the_picture_again_and_again_is_refused(avatar, name):
    """Each number of it may be; all of them together would take seconds to draw."""
    content = avatar.content
    table = dict(parts._array_parts(skin_of(load_model(content.face_model))))
    thicket = within(table[name], content.arrays[name].shape, np.random.default_rng(0))
    refused(dataclasses.replace(content, arrays=dict(content.arrays) | {name: thicket}), name)


def test_a_neck_in_the_plane_of_the_camera_is_refused(avatar):
    """Whatever the arrays say, the head would turn about it."""
    subject, pivot = avatar.content.subject, load_model(avatar.content.face_model).pivot
    away = np.array([0, np.pi, 0], np.float32)
    place = np.array([0, 0, -(rotation_matrix(away) @ pivot)[2]], np.float32)
    turned = dataclasses.replace(subject, rest_rotation=away, rest_translation=place)
    refused(dataclasses.replace(avatar.content, subject=turned), "rest_translation has a neck")


def test_a_face_whose_vertices_are_in_disorder_is_refused(avatar):
    content = avatar.content
    shuffled = np.random.default_rng(0).permutation(content.arrays["neutral"])
    refused(dataclasses.replace(content, arrays=dict(content.arrays) | {"neutral": shuffled}), "neutral")


def test_a_grid_has_so_many_nodes(avatar):
    content = avatar.content
    count = 40
    arrays = dict(content.arrays) | {
        name: np.repeat(array, count, axis=0)
        for name, array in content.arrays.items()
        if name.startswith("grid_") and array.ndim
    }
    refused(dataclasses.replace(content, arrays=arrays), "grid_still has")
