"""Trees of links as graphs."""

from __future__ import annotations

import pytest

from lookbook.lineage.chain import Link
from lookbook.lineage.drawing import graphviz, mermaid

TREE = Link("description", "product 1", sources=(Link("prompt", "v1"), Link("picture", "1.jpg", problem="it is gone")))


def test_arrows_lead_from_what_was_used_to_what_was_made_of_it() -> None:
    assert mermaid(TREE).splitlines() == [
        "flowchart LR",
        '  n0["description: product 1"]',
        '  n1["prompt: v1"]',
        "  n1 --> n0",
        '  n2["picture: 1.jpg"]:::broken',
        "  n2 --> n0",
        "  classDef broken stroke:#c00,stroke-width:3px",
    ]
    assert "  n0 --> n1" in mermaid(TREE, forward=True)


def test_a_broken_link_is_red() -> None:
    assert '  n2 [label="picture: 1.jpg", color=red];' in graphviz(TREE).splitlines()
    assert "  n0 -> n2;" in graphviz(TREE, forward=True)


@pytest.mark.parametrize(
    "name", ['"]; click n0 "javascript:x"', "a\nb --> c", "<b>x</b>", "{{ x }}", "x" * 500, "`|;#&"]
)
def test_a_name_stays_inside_its_node(name: str) -> None:
    for drawn in (mermaid(Link("row", name)), graphviz(Link("row", name))):
        [node] = [line for line in drawn.splitlines() if line.startswith("  n0")]
        assert node.count('"') == 2
        assert not set("<>{}`|\\") & set(node.partition('"')[2].partition('"')[0])
        assert len(node) < 130
