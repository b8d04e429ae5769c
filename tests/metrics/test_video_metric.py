"""Clips measured: planted defects (shuffled, frozen, copied, swapped, off the law) are seen."""

from __future__ import annotations

import pytest
import torch

from genlab.data.sources.moving_digits import Flights, MovingDigits, path
from genlab.data.videos import Videos
from genlab.metrics import features
from genlab.metrics.figures import better, limits
from genlab.metrics.moving_digits import MovingDigitsEvaluation, centres, misfit
from genlab.metrics.report import Report
from genlab.metrics.video import (
    adjacent_correlation,
    motion,
    one_frame,
    shuffled,
    speed,
    spread,
    whole_flow,
)

from .stand_ins import Handout

SHAPE, NUM = [1, 6, 16, 16], 150


@pytest.fixture(scope="module")
def data() -> Videos:
    made = Videos(
        source=MovingDigits(clips=1500), shape=SHAPE, num_classes=10, batch_size=8, seed=0
    )
    made.load()
    return made


@pytest.fixture(scope="module")
def measure(data, tmp_path_factory):
    """The report on samples x that are handed out, asked for as held-out clips' classes in turn."""
    before, features.RECIPE["min_examples"] = features.RECIPE["min_examples"], 12_000
    cache = str(tmp_path_factory.mktemp("features"))
    metric = MovingDigitsEvaluation(num_samples=NUM, cache=cache)
    yield lambda x: metric(Handout(x), data)
    features.RECIPE["min_examples"] = before


@pytest.fixture(scope="module")
def real(data, measure) -> torch.Tensor:
    """New clips of the same law, of the classes that are asked for."""
    wanted = measure_labels(data)
    new = Flights(
        data.source.digits.read(None)["val"], "new", shape=SHAPE, num=1, clips=4000, top=16
    )
    ids = [(new.labels == c).nonzero()[:, 0].tolist() for c in range(10)]
    x = torch.stack([new.frames(ids[c].pop()) for c in wanted.tolist()])
    return x.transpose(1, 2).float() / 127.5 - 1


def measure_labels(data: Videos) -> torch.Tensor:
    from genlab.metrics.report import proportional_labels

    return proportional_labels(data.val.labels, NUM)


@pytest.fixture(scope="module")
def good(measure, real) -> Report:
    return measure(real)


def near(report: Report, name: str, good: Report) -> bool:
    """Whether a figure lies where that of real clips does, as far as both are known."""
    (low, high), (least, most) = report.interval[name], good.interval[name]
    return low <= most and least <= high


def test_real_clips_score_their_floors(good: Report) -> None:
    drawn = {"adjacent_correlation", "still_share", "order_real", "order_preferred", "path_error",
             "path_share", "mass_change"}  # fmt: skip
    for name in drawn:
        (low, high), (least, most) = good.interval[name], good.floor_interval[name]
        assert low <= most and least <= high, name
    for name in ("frame_kernel_distance", "motion_distance", "kernel_distance"):
        low, high = good.interval[name]
        assert good.floor[name] == 0 and low < 0.1 * abs(high) + 0.02, (name, low, high)
    assert good.metrics["class_agreement"] > 0.35 and good.metrics["near_copies"] < 0.1
    assert good.metrics["order_real"] > 0.9 < good.metrics["order_preferred"]
    assert good.notes["order_real_shuffled"] < 0.2 and good.notes["order_accuracy"] > 0.9
    assert good.metrics["mass_change"] < 1e-6 and good.metrics["path_error"] < 0.5


def test_shuffled_frames_are_seen_by_order_and_motion_and_not_by_frames(
    measure, real, good
) -> None:
    bad = measure(shuffled(real.transpose(1, 2), "test").transpose(1, 2))
    assert bad.metrics["order_real"] < 0.25 and bad.metrics["order_preferred"] < 0.8
    assert bad.metrics["order_preferred"] < good.interval["order_preferred"][0]
    for name in ("frame_kernel_distance", "frame_frechet_distance"):
        assert near(bad, name, good), "the frames are the same"
    assert bad.metrics["motion_distance"] > 1.2 * good.interval["motion_distance"][1]
    assert bad.metrics["adjacent_correlation"] < good.interval["adjacent_correlation"][0]
    assert bad.metrics["path_error"] > 2 * good.metrics["path_error"]
    assert bad.metrics["still_share"] <= 0.05


def test_frozen_clips_are_seen_and_their_frames_are_as_real_ones(measure, real, good) -> None:
    bad = measure(real[:, :, 2:3].expand(-1, -1, SHAPE[1], -1, -1).contiguous())
    assert bad.metrics["still_share"] == 1.0 > 10 * bad.floor["still_share"]
    assert bad.metrics["adjacent_correlation"] == pytest.approx(1)
    assert bad.metrics["order_preferred"] == 0.5, "its order makes no difference"
    assert near(bad, "frame_kernel_distance", good)
    assert bad.metrics["motion_distance"] > 3 * good.interval["motion_distance"][1]


def test_noise_is_seen_by_frames(measure, real, good) -> None:
    draws = torch.Generator().manual_seed(0)
    bad = measure((real + 0.7 * torch.randn(real.shape, generator=draws)).clamp(-1, 1))
    assert bad.interval["frame_kernel_distance"][0] > good.interval["frame_kernel_distance"][1]


def test_copies_and_swapped_classes_are_seen(measure, data, real, good) -> None:
    train = data.train.labels
    ids = [(train == c).nonzero()[:, 0].tolist() for c in range(10)]
    copies = torch.tensor([ids[c].pop() for c in measure_labels(data).tolist()])
    found = measure(data.train.batch(copies)["x"])
    assert found.metrics["near_copies"] > 0.95 > 10 * found.floor["near_copies"]
    assert len(found.pictures["neighbours"]) == 32
    swapped = measure(real.roll(1, 0))
    assert swapped.metrics["class_agreement"] < 0.2 and near(swapped, "motion_distance", good)


def test_a_digit_that_leaves_its_path_or_changes_is_seen(measure, real, good) -> None:
    bent = real.clone()
    bent[:, :, 3:] = bent[:, :, 3:].flip(-1)  # from the fourth frame on it is on the other side
    found = measure(bent)
    assert found.metrics["path_share"] < 0.6 < good.metrics["path_share"]
    fading = (real + 1) * torch.linspace(1, 0.3, SHAPE[1])[:, None, None] - 1
    assert measure(fading).metrics["mass_change"] > 0.2


def test_few_samples_are_measured_as_far_as_they_go(data, measure, real) -> None:
    found = measure(real)
    metric = MovingDigitsEvaluation(num_samples=10)
    assert metric.kind == "video" and found.notes["num_samples"] == NUM


# --- by their definitions -------------------------------------------------------------------------


def blob(places: list[tuple[float, float]], side: int = 24) -> torch.Tensor:
    """A clip [1, T, 1, side, side] uint8 of a smooth bump at each place, down and across."""
    at = torch.arange(side, dtype=torch.float64)
    frames = [
        torch.exp(-((at - y) ** 2) / 18)[:, None] * torch.exp(-((at - x) ** 2) / 18)
        for y, x in places
    ]
    return (255 * torch.stack(frames)).round().byte()[None, :, None]


def test_the_flow_of_a_moving_bump_is_how_far_it_moves() -> None:
    clip = blob([(8 + t, 14 - 0.5 * t) for t in range(5)])
    flow = whole_flow(clip.double().mean(2) / 255)
    assert torch.allclose(flow, torch.tensor([1.0, -0.5], dtype=torch.float64), atol=0.05)
    told = motion(clip)[0, -4:]
    assert torch.allclose(told, torch.tensor([1, -0.5, 1, 0.5], dtype=torch.float64), atol=0.05)
    assert not whole_flow(torch.ones(1, 3, 8, 8, dtype=torch.float64)).any(), "nothing to go by"


def test_changes_are_measured_where_they_are() -> None:
    clip = torch.zeros(1, 3, 1, 8, 8, dtype=torch.uint8)
    clip[0, 1, 0, :2, :2] = 255  # one field, in the middle frame
    found = motion(clip)[0]
    assert found[0] == 1 and not found[1:16].any(), "from one frame to the next"
    assert not found[16:32].any(), "frames two apart are equal"
    assert speed(clip)[0] == pytest.approx(4 / 64)


def test_a_field_in_which_nothing_ever_moves_does_not_outweigh_the_others() -> None:
    found = torch.zeros(50, 36, dtype=torch.float64)
    found[:, 5] = torch.arange(50) / 10
    found[:, 32:] = 7 * found[:, 5:6]
    one = found[:, 5].std()
    assert torch.allclose(spread(found)[[0, 5, 35]], torch.stack([one / 4, one / 4, 7 * one]))


def test_the_correlation_of_neighbouring_frames() -> None:
    frames = torch.zeros(3, 2, 1, 2, 2, dtype=torch.uint8)
    frames[0] = torch.tensor([[0, 255], [0, 255]])  # the same twice
    frames[1, 0], frames[1, 1] = frames[0, 0], frames[0, 0].flip(-1)  # the opposite
    assert adjacent_correlation(frames).tolist() == pytest.approx([1, -1, 1]), "even ones: 1"


def test_a_shuffle_is_never_the_order_itself_and_a_frame_is_one_of_the_clip() -> None:
    clips = torch.arange(200 * 2).view(200, 2)[..., None, None, None]
    assert torch.equal(shuffled(clips, 0), clips.flip(1)), "of two frames there is one other order"
    taken = one_frame(clips)
    assert ((taken[:, None] == clips).flatten(2).any(2).any(1)).all()
    assert 60 < int((taken == clips[:, 0]).sum()) < 140


def test_a_path_that_the_law_allows_fits_and_others_do_not() -> None:
    draws = torch.Generator().manual_seed(0)
    u = torch.rand(100, 4, generator=draws, dtype=torch.float64)
    steps = 4 * u[:, 2:] - 2
    places = torch.stack([path(8 * u[:, i], steps[:, i], torch.arange(8), 8) for i in (0, 1)], -1)
    offset = torch.tensor([3.3, 4.1])
    assert misfit(places + offset, [8, 8], 3.0).max() < 0.2, "to the grid's fineness"
    rounded = misfit(places.round() + offset, [8, 8], 3.0)
    assert 0.1 < rounded.median() < 0.45, "rounding alone"
    through = torch.stack(
        [8 * u[:, i, None] + steps[:, i, None] * torch.arange(8) for i in (0, 1)], -1
    )
    far = (through.amax(1) > 12).any(1)
    assert far.sum() > 10 and misfit(through, [8, 8], 3.0)[far].median() > 0.5, "through the wall"


def test_the_centre_of_brightness() -> None:
    x = torch.zeros(1, 2, 6, 6, dtype=torch.float64)
    x[0, 0, 2, 1], x[0, 1, 2, 1], x[0, 1, 4, 5] = 1, 1, 1
    assert centres(x).tolist() == [[[2, 1], [3, 3]]]


def test_which_way_is_better_and_what_bounds_there_are() -> None:
    assert [better(n) for n in ("order_real", "order_preferred", "path_share")] == [-1, -1, -1]
    less = ("frame_kernel_distance", "frame_frechet_distance", "motion_distance", "still_share",
            "path_error", "mass_change")  # fmt: skip
    assert [better(n) for n in less] == [1] * 6 and better("adjacent_correlation") == 0
    assert limits("order_real") == limits("still_share") == (0.0, 1.0)
