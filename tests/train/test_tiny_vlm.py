"""The rendered world's answers, and that what is trained in torch is what numpy and the decoder run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgevid.train.tiny_vlm import world
from edgevid.train.tiny_vlm.questions import FAMILIES, Question, ask
from edgevid.train.tiny_vlm.vision import ROWS, Vision, pixels, second_codes


def streams(count: int, seconds: int) -> list[world.Stream]:
    rng = np.random.default_rng(3)
    return [world.draw_stream(rng, seconds, start_s=int(rng.integers(200))) for _ in range(count)]


def test_no_two_things_share_a_cell_and_stars_are_single() -> None:
    for stream in streams(20, 60):
        assert all(len(set(cells)) == len(world.SHAPES) for cells in stream.cell)
        lit = np.flatnonzero(stream.star_colour != world.NO_STAR)
        assert 1 <= len(lit) <= len(world.COLOURS)
        assert len(set(stream.star_colour[lit])) == len(lit)
        assert all(stream.star_cell[t] not in stream.cell[t] for t in lit)


def test_pictures_show_the_colours_the_stream_names() -> None:
    (stream,) = streams(1, 40)
    frames = world.render(stream, np.random.default_rng(0))
    assert frames.shape == (40, world.CELLS, world.CELL, world.CELL, 3)
    middle = world.CELL // 2
    palette = np.array([rgb for _, rgb in world.COLOURS])
    for t in range(40):
        for shape in range(len(world.SHAPES)):
            seen = frames[t, stream.cell[t, shape], middle - 1 : middle + 1, middle - 1 : middle + 1].mean(
                axis=(0, 1)
            )
            nearest = np.abs(palette - seen).sum(axis=1).argmin()
            assert nearest == stream.colour[t, shape]


def test_cells_hold_the_things_the_facts_name() -> None:
    (stream,) = streams(1, 60)
    things = stream.things()
    for t in range(60):
        for shape in range(len(world.SHAPES)):
            assert tuple(things[t, stream.cell[t, shape]]) == (shape + 1, stream.colour[t, shape] + 1)
        star = stream.star_colour[t] != world.NO_STAR
        assert np.count_nonzero(things[t, :, 0]) == len(world.SHAPES) + star
        if star:
            assert tuple(things[t, stream.star_cell[t]]) == (world.STAR + 1, stream.star_colour[t] + 1)


def place_of(cell: int) -> str:
    row, column = divmod(int(cell), 3)
    name = ("north", "", "south")[row] + ("west", "", "east")[column]
    return name or "middle"


def answer_of(stream: world.Stream, question: Question) -> str:
    """The answer again, read from the stream's facts by the second the question points at."""
    t = question.second - stream.start_s
    if question.family in ("colour", "place"):
        shape = next(i for i, name in enumerate(world.SHAPES) if f"{name} at" in question.prompt)
        colour = world.COLOURS[stream.colour[t, shape]][0]
        return colour if question.family == "colour" else place_of(stream.cell[t, shape])
    if question.family == "star":
        return place_of(stream.star_cell[t])
    if question.family == "when":
        return f"<{question.second:03d}>"
    colour, texture = divmod(int(stream.scene[t]), len(world.TEXTURES))
    return f"{world.COLOURS[colour][0]} {world.TEXTURES[texture]}"


def row_of(stream: world.Stream, question: Question) -> int:
    """Where the answer shows in its second: a cell, or the whole frame."""
    t = question.second - stream.start_s
    if question.family == "after":
        return world.CELLS
    if question.family in ("when", "star"):
        return int(stream.star_cell[t])
    shape = next(i for i, name in enumerate(world.SHAPES) if f"{name} at" in question.prompt)
    return int(stream.cell[t, shape])


@pytest.mark.parametrize("family", FAMILIES)
def test_answers_are_what_the_stream_holds(family: str) -> None:
    rng = np.random.default_rng(1)
    asked = [(s, ask(rng, s, family)) for s in streams(30, 50)]  # type: ignore[arg-type]
    found = [(s, q) for s, q in asked if q is not None]
    assert len(found) > 20
    for stream, question in found:
        assert question.answer.lstrip(" ") == answer_of(stream, question)
        assert question.row == row_of(stream, question)


def test_no_two_seconds_look_alike() -> None:
    codes = second_codes().astype(np.float64)
    alike = codes @ codes.T
    np.testing.assert_allclose(np.diag(alike), 1, atol=1e-6)
    assert (alike - 2 * np.eye(len(codes))).max() < 0.7


def test_each_word_of_a_question_is_one_token() -> None:
    pytest.importorskip("tokenizers", reason="pip install 'edgevid[dev]'")
    from edgevid.train.tiny_vlm.text import build_tokenizer

    tokenizer = build_tokenizer()
    text = "\nwhat colour was the square at second\nwhere was the star in red\nwhich scene came after dots"
    assert len(tokenizer.encode(text).tokens) == len(text.replace("\n", " \n ").split(" ")) - 1
    assert tokenizer.encode("second <137>").tokens[-1] == "<137>"


def test_pointing_rewards_attention_to_the_asked_row() -> None:
    torch = pytest.importorskip("torch", reason="pip install 'edgevid[dev]'")
    from edgevid.train.tiny_vlm.network import pointing

    rows = torch.tensor([[-100, 2, -100]])  # the second of three words asks for row 2 of 5 rows and words
    scores = torch.zeros(1, 2, 3, 5)
    assert float(pointing(scores, rows)) == pytest.approx(
        np.log(4), abs=1e-5
    )  # the last word is not seen yet
    scores[:, :, 1, 2] = 20
    assert float(pointing(scores, rows)) == pytest.approx(0, abs=1e-4)
    scores[:, :, 1, 4] = 40
    assert float(pointing(scores, rows)) == pytest.approx(0, abs=1e-4)


def test_training_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch", reason="pip install 'edgevid[dev]'")
    pytest.importorskip("tokenizers", reason="pip install 'edgevid[dev]'")
    from edgevid.train.tiny_vlm import train

    short = train.Stage(seconds=6, batch=1, questions=2, steps=50)
    monkeypatch.setattr(train, "CURRICULUM", (short,))
    first = train.Trainer(tmp_path, seed=0, rate=1e-3)
    first.run(until_s=0)  # until it reports
    second = train.Trainer(tmp_path, seed=5, rate=1e-3)
    assert (second.stage, second.step) == (first.stage, first.step)
    for name in ("model", "average"):
        states = (getattr(trainer, name).state_dict() for trainer in (first, second))
        for mine, theirs in zip(*(state.values() for state in states), strict=True):
            assert torch.equal(mine, theirs)


def test_the_decoder_runs_what_was_trained(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch", reason="pip install 'edgevid[dev]'")
    pytest.importorskip("gguf", reason="pip install 'edgevid[test]'")
    pytest.importorskip("tokenizers", reason="pip install 'edgevid[dev]'")
    from edgevid.models.native_llm import NativeLanguageModel
    from edgevid.train.tiny_vlm.export import export
    from edgevid.train.tiny_vlm.network import TinyVLM
    from edgevid.train.tiny_vlm.text import START, build_tokenizer

    torch.manual_seed(0)
    network = TinyVLM()
    export(network, tmp_path)
    tokenizer = build_tokenizer()
    (stream,) = streams(1, 20)
    frames = world.render(stream, np.random.default_rng(0))
    seconds = np.arange(stream.start_s, stream.start_s + len(stream))
    text = tokenizer.encode("\nwhen was the star in red<007>").ids
    start = tokenizer.token_to_id(START)
    with torch.no_grad():
        seen = torch.from_numpy(pixels(frames))[None], torch.from_numpy(seconds)[None]
        want, _, cells, _ = network(torch.tensor([[start]]), *seen, torch.tensor([text]))
        want_rows = network.rows(cells, seen[1])[0].numpy()

    rows = Vision.load(tmp_path / "tiny_vlm.npz").rows(frames, seconds).reshape(len(stream) * ROWS, -1)
    np.testing.assert_allclose(rows, want_rows, atol=1e-5)
    model = NativeLanguageModel(tmp_path / "tiny_vlm.gguf", exact=True)
    assert model.tokenize("\nwhen was the star in red<007>") == text
    sequence = model.new_sequence()
    sequence.append_tokens([start], logits="none")
    sequence.append_rows(rows, logits="none")
    # The file holds float16 matrices.
    got = sequence.append_tokens(text, logits="all")
    assert got.shape[1] == tokenizer.get_vocab_size()  # rows that no token has are left out
    np.testing.assert_allclose(got, want[0, :, : got.shape[1]].numpy(), atol=1e-2)
    sequence.close()
