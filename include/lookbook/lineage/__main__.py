"""The lineage command line: where a description came from, and what a thing went into.

product ID        from a product's description back to its picture, row, prompt and model; --drop for an older one
picture ID        what the picture of a product went into
model VERSION     what a model's answers went into
drop MONDAY       what a drop's products went into, models trained with them included
diff RUN RUN      what two runs of a DAG did otherwise

With --mark-stale WHY, ``picture``, ``model`` and ``drop`` mark the published descriptions that they find directly:
those with the picture, those with the model's answers, those of the drop. Pause ``describe_products`` meanwhile.

Exit code: 1 when there is no such thing or a link of a product's chain is broken; 3 when AWS or the catalogue of tables
can't be asked.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

import orjson
from botocore.exceptions import BotoCoreError, ClientError
from sqlalchemy.exc import SQLAlchemyError

from lookbook.descriptions import staleness
from lookbook.errors import LookbookError
from lookbook.lineage import comparison, drawing, impact, queries
from lookbook.lineage.chain import Chain
from lookbook.lineage.impact import Impact

_FORMATS = ("text", "json", "mermaid", "dot")
_FORWARD: dict[str, Callable[[str], Impact]] = {
    "picture": impact.of_picture,
    "model": impact.of_model,
    "drop": impact.of_drop,
}
_STALE: dict[str, Callable[[str, str], staleness.Stale]] = {
    "picture": lambda product_id, why: staleness.mark_picture_stale(impact.picture_of(product_id)[1], why),
    "model": staleness.mark_stale,
    "drop": staleness.mark_drop_stale,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what is asked for; return the exit code that this module's docstring tells."""
    asked = _parser().parse_args(arguments)
    try:
        return int(asked.run(asked))
    except LookbookError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except (BotoCoreError, ClientError, SQLAlchemyError, OSError) as error:
        sys.stderr.write(
            f"AWS or the catalogue of tables can't be asked: {error}\nOn the laptop, `make status` says what is up; "
            "elsewhere, check the credentials and LOOKBOOK_CATALOG_URI (docs/settings.md).\n"
        )
        return 3


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m lookbook.lineage", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    subjects = parser.add_subparsers(dest="subject", required=True)
    product = subjects.add_parser("product", help="where a product's description came from")
    product.add_argument("name", metavar="product_id")
    product.add_argument("--drop", metavar="MONDAY", help="its description in that drop; by default in the newest")
    product.add_argument(
        "--json", action="store_const", const="json", default="text", dest="format", help="as --format json"
    )
    product.set_defaults(run=_product)
    for subject in _FORWARD:
        added = subjects.add_parser(subject, help=f"what a {subject} went into")
        added.add_argument("name")
        added.set_defaults(run=_impact)
        added.add_argument("--mark-stale", metavar="WHY", help="mark its published descriptions as stale")
    for added in subjects.choices.values():
        added.add_argument("--format", choices=_FORMATS, default="text")
    diff = subjects.add_parser("diff", help="what two runs did otherwise")
    diff.add_argument("before", help="run id, as Airflow shows it")
    diff.add_argument("after")
    diff.add_argument("--dag", help="whose runs, where several DAGs have runs of these names")
    diff.add_argument("--format", choices=("text", "json"), default="text")
    diff.set_defaults(run=_diff)
    return parser


def _product(asked: argparse.Namespace) -> int:
    found = queries.chain(asked.name, asked.drop)
    _show(found, asked.format, forward=False)
    return 1 if found.problems else 0


def _impact(asked: argparse.Namespace) -> int:
    _show(_FORWARD[asked.subject](asked.name), asked.format, forward=True)
    if asked.mark_stale:
        marked = _STALE[asked.subject](asked.name, asked.mark_stale)
        sys.stderr.write(f"{marked.descriptions} are stale. Describe anew: {', '.join(marked.drops) or '–'}\n")
    return 0


def _diff(asked: argparse.Namespace) -> int:
    found = comparison.compare(asked.before, asked.after, asked.dag)
    _print(_json(found.as_dict()) if asked.format == "json" else found.text())
    return 0


def _show(found: Chain | Impact, form: str, *, forward: bool) -> None:
    shown: dict[str, Callable[[], str]] = {
        "text": found.text,
        "json": lambda: _json(found.as_dict()),
        "mermaid": lambda: drawing.mermaid(found.root, forward=forward),
        "dot": lambda: drawing.graphviz(found.root, forward=forward),
    }
    _print(shown[form]())


def _json(value: object) -> str:
    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def _print(text: str) -> None:
    sys.stdout.write(f"{text}\n")


if __name__ == "__main__":
    sys.exit(main())
