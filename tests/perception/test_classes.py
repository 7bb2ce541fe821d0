from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from edgevid.core.nouns import NS_PER_S, Frame, Kind
from edgevid.media.source import open_source
from edgevid.models.store import ModelStore
from edgevid.perception.classes import PACK, ClassesChannel, Classifier, class_names

Floats = npt.NDArray[np.float32]
IMAGE = np.zeros((90, 160, 3), np.uint8)


class Replay:
    """Answers with one prepared posterior over (cat, dog, car) after the other."""

    names: Sequence[str] = ("cat", "dog", "car")

    def __init__(
        self, *posteriors: tuple[float, float, float], closely: tuple[float, float, float] | None = None
    ) -> None:
        self._posteriors = iter(posteriors)
        self.closely = closely

    def posterior(self, image: npt.NDArray[np.uint8]) -> Floats:
        self.newest = np.array(next(self._posteriors), np.float32)
        return self.newest

    def look_closely(self, image: npt.NDArray[np.uint8]) -> Floats:
        return self.newest if self.closely is None else np.array(self.closely, np.float32)


def seen(channel: ClassesChannel, i: int = 0, *, kind: Kind = "class") -> list[str]:
    return [o.label for o in channel.observe(Frame(IMAGE, i * 10, i), period_ns=10) if o.kind == kind]


def labels_of(channel: ClassesChannel, looks: int, *, kind: Kind = "faint") -> list[list[str]]:
    return [seen(channel, i, kind=kind) for i in range(looks)]


def labels_over_time(*posteriors: tuple[float, float, float], kind: Kind = "class") -> list[list[str]]:
    return labels_of(ClassesChannel(Replay(*posteriors)), len(posteriors), kind=kind)


CAT, DOG, NONE = (0.8, 0.1, 0.1), (0.1, 0.8, 0.1), (0.3, 0.3, 0.3)


def test_what_stays_in_view_is_said() -> None:
    assert labels_over_time(CAT, CAT, CAT) == [["cat"]] * 3
    assert labels_over_time(NONE, NONE) == [[], []]


def test_one_odd_frame_does_not_hide_what_stays() -> None:
    assert labels_over_time(CAT, CAT, NONE, CAT)[2:] == [["cat"], ["cat"]]


def test_a_class_ends_with_its_scene() -> None:
    """The mean still holds 0.45 of the cat, but the picture does not."""
    assert labels_over_time(CAT, CAT, DOG, DOG) == [["cat"], ["cat"], ["dog"], ["dog"]]


def test_the_likelier_class_comes_first_and_only_two() -> None:
    assert labels_over_time((0.42, 0.5, 0.08)) == [["dog", "cat"]]
    assert seen(ClassesChannel(Replay((0.32, 0.34, 0.33)), sure=0.3)) == ["dog", "car"]


def test_likely_classes_are_faint_until_they_are_gone() -> None:
    half = (0.45, 0.3, 0.05)
    assert labels_over_time(half, half, kind="faint") == [["dog"], ["dog"]]
    assert labels_over_time(DOG, CAT, CAT, kind="faint") == [["cat", "car"], ["dog", "car"], ["dog", "car"]]
    assert (
        labels_over_time(DOG, (1.0, 0.0, 0.0), kind="faint")[1] == []
    )  # the mean still holds 0.4 of the dog


def test_without_a_sure_class_parts_of_the_picture_are_looked_at() -> None:
    vague, small_dog = (0.05, 0.05, 0.05), (0.0, 0.5, 0.0)
    assert seen(ClassesChannel(Replay(vague, closely=small_dog)), kind="faint") == ["dog"]
    assert seen(ClassesChannel(Replay(vague, closely=small_dog))) == []
    assert seen(ClassesChannel(Replay(CAT, closely=small_dog)), kind="faint") == ["dog", "car"]  # CAT's own
    looks = labels_of(ClassesChannel(Replay(*[vague] * 6, closely=small_dog)), 6)
    assert looks == [["dog"], [], [], [], ["dog"], []]


def test_no_more_than_so_many_are_faint() -> None:
    channel = ClassesChannel(Replay((0.3, 0.25, 0.2)), most_likely=2)
    assert seen(channel, kind="faint") == ["cat", "dog"]


def test_rows_span_the_period() -> None:
    row, *_ = ClassesChannel(Replay(CAT)).observe(Frame(IMAGE, 7, 0, wall_ns=99), period_ns=10)
    assert (row.kind, row.span.start_ns, row.span.end_ns, row.wall_ns) == ("class", 7, 17, 99)
    assert row.score == pytest.approx(0.8)


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> ModelStore:
    """A store with nothing pulled: the classifier ships with edgevid."""
    return ModelStore(tmp_path_factory.mktemp("empty"))


@pytest.fixture(scope="module")
def classifier(embedded: ModelStore) -> Classifier:
    return Classifier(embedded, threads=2)


def test_the_embedded_files_are_the_pinned_ones(embedded: ModelStore) -> None:
    files = embedded.where(PACK)
    for member in embedded.catalogue[PACK].artefacts[0].members:
        data = files[member.name].read_bytes()
        assert (len(data), hashlib.sha256(data).hexdigest()) == (member.bytes, member.sha256)


def test_a_thousand_names(embedded: ModelStore) -> None:
    names = class_names(embedded)
    assert len(names) == 1000 and all(names)
    assert names[0] == "tench, Tinca tinca"
    assert names[999] == "toilet tissue, toilet paper, bathroom tissue"


def picture(seed: int, height: int = 120, width: int = 200) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("shape", [(1, 1), (1, 2000), (2000, 1), (2, 3), (224, 224), (719, 1281)])
def test_any_picture_has_a_posterior(classifier: Classifier, shape: tuple[int, int]) -> None:
    image = picture(0, *shape)
    posterior = classifier.posterior(image)
    assert posterior.shape == (1000,) and posterior.dtype == np.float32
    assert posterior.min() >= 0 and posterior.sum() == pytest.approx(1, abs=1e-4)
    closely = classifier.look_closely(image)
    assert closely.shape == (1000,) and closely.sum() == pytest.approx(1, abs=1e-4)
    grid = classifier.posteriors(image)
    assert grid.shape == (10, 1000)
    np.testing.assert_allclose(grid.sum(axis=1), 1, atol=1e-4)


def test_a_picture_does_not_depend_on_those_beside_it(classifier: Classifier) -> None:
    """The first row is the whole picture; one column of the grid changes three crops."""
    image = picture(1, 99, 150)
    changed = image.copy()
    changed[:, 100:] = picture(2, 99, 50)
    before, after = classifier.posteriors(image), classifier.posteriors(changed)
    same = [1, 2, 4, 5, 7, 8]
    np.testing.assert_allclose(after[same], before[same], atol=1e-5)
    np.testing.assert_array_equal(classifier.posteriors(image), before)


def test_crops_go_row_by_row(classifier: Classifier) -> None:
    image = picture(3, 90, 150)
    grid = classifier.posteriors(image)
    for index, (row, column) in ((1, (0, 0)), (3, (0, 2)), (4, (1, 0)), (9, (2, 2))):
        crop = image[row * 30 : row * 30 + 30, column * 50 : column * 50 + 50]
        np.testing.assert_allclose(grid[index], classifier.posteriors(crop)[0], atol=1e-5)


@pytest.mark.parametrize(
    ("name", "at_s", "label"),
    [
        ("video/cockatoo.mp4", 10.0, "sulphur-crested cockatoo"),
        ("video/intel_bottle-detection.mp4", 9.0, "water bottle"),
        ("talking/vretalk_1.mp4", 2.0, "suit"),
    ],
)
def test_real_pictures(classifier: Classifier, test_data: Path, name: str, at_s: float, label: str) -> None:
    with open_source(test_data / name) as source:
        frame = next(f for f in source.frames(fps=1, max_side=640) if f.pts_ns >= at_s * NS_PER_S)
    best = int(classifier.posterior(frame.image).argmax())
    assert classifier.names[best].startswith(label)
