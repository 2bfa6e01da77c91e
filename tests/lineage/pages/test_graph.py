"""A chain as a drawing: nothing lies on anything else, and every box is in its column."""

from __future__ import annotations

from itertools import combinations

from hypothesis import given
from hypothesis import strategies as st

from lookbook.lineage.chain import Link
from lookbook.lineage.pages import graph

trees = st.recursive(
    st.builds(Link, st.sampled_from(["picture", "prompt", "training job"]), st.text(max_size=60)),
    lambda behind: st.builds(
        Link, st.just("description"), st.text(max_size=60), sources=st.lists(behind, max_size=4).map(tuple)
    ),
    max_leaves=12,
)


@given(trees)
def test_every_link_has_a_box_of_its_own_within_the_drawing(root: Link) -> None:
    drawing = graph.draw(graph.numbered(root))
    assert [box.step.link for box in drawing.boxes] == list(root.walk())
    assert len(drawing.arrows) == len(drawing.boxes) - 1
    for box in drawing.boxes:
        assert 0 <= box.x <= drawing.width - graph.WIDTH and 0 <= box.y <= drawing.height - graph.HEIGHT
    for one, other in combinations(drawing.boxes, 2):
        assert one.x != other.x or abs(one.y - other.y) > graph.HEIGHT, "boxes of a column lie apart"


@given(trees)
def test_what_a_thing_was_made_from_stands_to_its_right(root: Link) -> None:
    boxes = {box.step.number: box for box in graph.draw(graph.numbered(root)).boxes}
    for box in boxes.values():
        for source in box.step.steps:
            assert boxes[source.number].x > box.x + graph.WIDTH


def test_the_arrow_from_a_broken_link_is_broken() -> None:
    root = Link("description", "d", sources=(Link("prompt", "p"), Link("picture", "q", problem="gone")))
    assert [arrow.broken for arrow in graph.draw(graph.numbered(root)).arrows] == [False, True]


def test_of_an_address_the_end_is_shown_which_tells_it_apart() -> None:
    [box] = graph.draw(graph.numbered(Link("row", "s3://lookbook/drops/2026-11-16/styles.csv line 2", "x" * 64))).boxes
    assert (box.name, len(box.version)) == ("styles.csv line 2", 26)
    assert box.group == "catalogue"
