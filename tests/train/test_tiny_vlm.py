"""The rendered world's answers, and that what is trained in torch is what numpy and the decoder run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgevid.train.tiny_vlm import world
from edgevid.train.tiny_vlm.questions import FAMILIES, Question, ask
from edgevid.train.tiny_vlm.vision import ROWS, Vision, pixels


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


def answer_of(stream: world.Stream, question: Question) -> str:
    """The answer again, read from the stream's facts by the second the question points at."""
    t = question.second - stream.start_s
    rows, columns = ("top", "middle", "bottom"), ("left", "centre", "right")
    if question.family in ("colour", "place"):
        shape = next(i for i, name in enumerate(world.SHAPES) if f"{name}?" in question.prompt)
        row, column = divmod(int(stream.cell[t, shape]), 3)
        colour = world.COLOURS[stream.colour[t, shape]][0]
        return colour if question.family == "colour" else f"{rows[row]} {columns[column]}"
    if question.family == "star":
        row, column = divmod(int(stream.star_cell[t]), 3)
        return f"{rows[row]} {columns[column]}"
    if question.family == "when":
        return f"second <{question.second:03d}>"
    colour, texture = divmod(int(stream.scene[t]), len(world.TEXTURES))
    return f"{world.COLOURS[colour][0]} {world.TEXTURES[texture]}"


@pytest.mark.parametrize("family", FAMILIES)
def test_answers_are_what_the_stream_holds(family: str) -> None:
    rng = np.random.default_rng(1)
    asked = [(s, ask(rng, s, family)) for s in streams(30, 50)]  # type: ignore[arg-type]
    found = [(s, q) for s, q in asked if q is not None]
    assert len(found) > 20
    for stream, question in found:
        assert question.answer == f" {answer_of(stream, question)}"


def test_each_word_of_a_question_is_one_token() -> None:
    pytest.importorskip("tokenizers", reason="pip install 'edgevid[dev]'")
    from edgevid.train.tiny_vlm.text import build_tokenizer

    tokenizer = build_tokenizer()
    words = tokenizer.encode(" what colour was the square circle triangle star second where after").tokens
    assert len(words) == 11
    assert tokenizer.encode("second <137>?").tokens[-2] == "<137>"


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
    text = tokenizer.encode("\nq: when was the red star? a: second <007>").ids
    start = tokenizer.token_to_id(START)
    with torch.no_grad():
        seen = torch.from_numpy(pixels(frames))[None], torch.from_numpy(seconds)[None]
        want, _, cells = network(torch.tensor([[start]]), *seen, torch.tensor([text]))
        want_rows = network.rows(cells, seen[1])[0].numpy()

    rows = Vision.load(tmp_path / "tiny_vlm.npz").rows(frames, seconds).reshape(len(stream) * ROWS, -1)
    np.testing.assert_allclose(rows, want_rows, atol=1e-5)
    model = NativeLanguageModel(tmp_path / "tiny_vlm.gguf", exact=True)
    assert model.tokenize("\nq: when was the red star? a: second <007>") == text
    sequence = model.new_sequence()
    sequence.append_tokens([start], logits="none")
    sequence.append_rows(rows, logits="none")
    # The file holds float16 matrices.
    np.testing.assert_allclose(sequence.append_tokens(text, logits="all"), want[0].numpy(), atol=1e-2)
    sequence.close()
