from __future__ import annotations

from edgevid.stream.pacing import AdaptiveStride


def run(stride: AdaptiveStride, *, frames: int, base_s: float, channel_s: float) -> int:
    """Simulate frames that cost ``base_s``, plus ``channel_s`` when the channel looks; returns its looks."""
    looks = 0
    for _ in range(frames):
        due = stride.due()
        looks += due
        stride.record(base_s + channel_s * due)
    return looks


def test_a_cheap_channel_looks_at_every_frame() -> None:
    assert run(AdaptiveStride(1.0), frames=50, base_s=0.2, channel_s=0.2) == 50


def test_an_expensive_channel_is_slowed_until_the_frame_fits() -> None:
    stride = AdaptiveStride(1.0)
    run(stride, frames=100, base_s=0.3, channel_s=0.9)
    assert stride.stride == 2
    assert run(stride, frames=40, base_s=0.3, channel_s=0.9) == 20


def test_it_looks_more_often_again_when_the_load_falls() -> None:
    stride = AdaptiveStride(1.0)
    run(stride, frames=60, base_s=0.7, channel_s=2.0)
    assert stride.stride > 1
    run(stride, frames=60, base_s=0.05, channel_s=0.1)
    assert stride.stride == 1


def test_the_stride_is_bounded_when_nothing_helps() -> None:
    stride = AdaptiveStride(1.0)
    run(stride, frames=200, base_s=5.0, channel_s=1.0)
    assert stride.stride == 8
