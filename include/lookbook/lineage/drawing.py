"""A tree of links as a graph for Mermaid or Graphviz. What a drop states may hold anything: names are made harmless."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lookbook.lineage.chain import Link

_LONGEST = 80  # characters of a node's name
_UNSAFE = re.compile(r"[^\w\s.,:;/@()+=-]")


def mermaid(root: Link, *, forward: bool = False) -> str:
    """Return the tree as a Mermaid flow chart; arrows lead from what was used to what was made of it.

    Args:
        root: the tree.
        forward: ``sources`` are what was made of a link, not what it was made of.
    """
    lines = ["flowchart LR"]
    for number, parent, link in _numbered(root):
        lines.append(f'  n{number}["{_label(link)}"]{":::broken" if link.problem else ""}')
        if parent is not None:
            lines.append(f"  n{parent} --> n{number}" if forward else f"  n{number} --> n{parent}")
    return "\n".join([*lines, "  classDef broken stroke:#c00,stroke-width:3px"])


def graphviz(root: Link, *, forward: bool = False) -> str:
    """Return the tree as a Graphviz digraph; see :func:`mermaid`."""
    lines = ["digraph lineage {", "  rankdir=LR;", "  node [shape=box, fontname=sans];"]
    for number, parent, link in _numbered(root):
        lines.append(f'  n{number} [label="{_label(link)}"{", color=red" if link.problem else ""}];')
        if parent is not None:
            lines.append(f"  n{parent} -> n{number};" if forward else f"  n{number} -> n{parent};")
    return "\n".join([*lines, "}"])


def _numbered(root: Link) -> Iterator[tuple[int, int | None, Link]]:
    """Yield every link with its number and that of the link it hangs on."""
    waiting: list[tuple[int | None, Link]] = [(None, root)]
    number = 0
    while waiting:
        parent, link = waiting.pop(0)
        yield number, parent, link
        waiting += [(number, source) for source in link.sources]
        number += 1


def _label(link: Link) -> str:
    name = " ".join(_UNSAFE.sub("", f"{link.kind}: {link.name}").split())
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
