"""Frames are read-only, and pooled buffers come back by themselves."""

import gc

import numpy as np
import pytest

from mien.frames import AudioFrame, BufferPool, FaceParams, VideoFrame

pytestmark = pytest.mark.unit


def test_a_frame_cannot_be_written():
    pixels = np.zeros((2, 2, 3), np.uint8)
    frame = VideoFrame(pixels, 5)
    with pytest.raises(ValueError, match="read-only"):
        frame.pixels[0, 0, 0] = 1
    with pytest.raises(AttributeError):
        frame.capture_ns = 6
    params = FaceParams(0)
    with pytest.raises(ValueError, match="read-only"):
        params.expression[0] = 1


def test_duration_of_sound():
    assert AudioFrame(np.zeros((960, 2), np.float32), 48000, 0).duration_ns == 20_000_000


def test_a_buffer_returns_when_its_last_view_is_gone():
    pool = BufferPool((4, 4, 3), size=2)
    frame = VideoFrame(pool.take(), 0)
    view = frame.pixels[1:3]
    assert pool.in_use == 1
    del frame
    gc.collect()
    assert pool.in_use == 1, "a view still holds it"
    del view
    gc.collect()
    assert pool.in_use == 0


def test_an_empty_pool_never_makes_a_stage_wait_or_share():
    pool = BufferPool((8,), size=1)
    first, second = pool.take(), pool.take()
    assert pool.misses == 1
    assert not np.shares_memory(first, second)
    first[:] = 1
    second[:] = 2
    assert (first == 1).all()


def test_a_returned_buffer_is_writable_again():
    pool = BufferPool((2, 2, 3), size=1)
    frame = VideoFrame(pool.take(), 0)
    del frame
    again = pool.take()
    again[:] = 7
    assert pool.misses == 0
