"""Views that turn what Great Expectations rendered into pages that need nothing but themselves.

Its own pages load style sheets and scripts from public networks, and put values of the data into the markup as they
are. Ours carry their style, run no script at all, and escape every value: what a drop says is untrusted.
"""

from __future__ import annotations

import html
from typing import Any

from great_expectations.render.view import DefaultJinjaPageView
from jinja2 import ChoiceLoader, PackageLoader, pass_context

_TEMPLATES = ChoiceLoader(
    [
        PackageLoader("lookbook.quality.data_docs", "templates"),
        PackageLoader("great_expectations", "render/view/templates"),
    ]
)


class OfflinePageView(DefaultJinjaPageView):
    """A page of results, of a suite, or of what there is: Great Expectations' templates, with ours before them."""

    _template = "offline_page.j2"

    def __init__(self, task_url: str | None = None) -> None:
        super().__init__()
        self.env.loader = _TEMPLATES
        self.env.globals["task_url"] = task_url

    @pass_context
    def render_content_block(self, context: Any, content_block: Any, *arguments: Any, **options: Any) -> Any:
        """Render a block; a plain text, which may be a value of the data, becomes text and never markup."""
        return super().render_content_block(context, _escaped(content_block), *arguments, **options)


def _escaped(block: Any) -> Any:
    if isinstance(block, str):
        return html.escape(block)
    return [_escaped(one) for one in block] if isinstance(block, list) else block
