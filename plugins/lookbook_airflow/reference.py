"""Write the DAG reference (``docs/dags.md``) from the DAGs themselves: ``python -m lookbook_airflow.reference``.

A test compares the page with what this writes, so it can't fall behind.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from lookbook_airflow.clearing import parts

if TYPE_CHECKING:
    from airflow.sdk import DAG

_HEADER = """# DAG reference

Written by `make docs` from the DAG files; what each DAG says here it also says in the Airflow UI.
"""


def as_markdown(dags: dict[str, DAG]) -> str:
    """Return the reference page of ``dags``, in order of their ids."""
    return "\n".join([_HEADER, *(_section(dags[dag_id]) for dag_id in sorted(dags))])


def _section(dag: DAG) -> str:
    title, _, body = (dag.doc_md or "").strip().partition("\n")
    lines = [f"## {title.strip('# ')} (`{dag.dag_id}`)", body.strip(), ""]
    if dag.params:
        lines += ["| parameter | default | meaning |", "|---|---|---|"]
        lines += [*(_parameter(dag, name) for name in dag.params), ""]
    lines += ["| task | does | safe to clear? | after |", "|---|---|---|---|"]
    lines += [_task(dag, task_id) for task_id in (task.task_id for task in dag.topological_sort())]
    return "\n".join([*lines, ""])


def _parameter(dag: DAG, name: str) -> str:
    param = dag.params.get_param(name)
    return f"| `{name}` | `{param.value}` | {param.description} |"


def _task(dag: DAG, task_id: str) -> str:
    task = dag.get_task(task_id)
    does, clear = parts(task.doc_md)
    after = ", ".join(f"`{upstream}`" for upstream in sorted(task.upstream_task_ids)) or "–"
    return f"| `{task_id}` | {does} | {clear} | {after} |"


def main() -> None:
    """Parse the DAG files of this checkout and write ``docs/dags.md``."""
    from airflow.dag_processing.dagbag import DagBag

    root = Path(__file__).resolve().parents[2]
    bag = DagBag(dag_folder=str(root / "dags"))
    (root / "docs" / "dags.md").write_text(as_markdown(bag.dags))


if __name__ == "__main__":
    main()
