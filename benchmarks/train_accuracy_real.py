"""How right the trained model is about real pictures: exact match on the reference's task, pictures it never saw.

``DATA`` is a directory in Kaggle's layout in which some pictures are large (the task) and the others are thumbnails
(what the base is pretrained on)::

    tar -C "$DATA" -xf images_60x80.tar && tar -C "$DATA" -xf images_225x300.tar

The **task**: seven attributes of Shirts and Tshirts, as the reference trains them, and their colour, which it asks.
The products with a large picture are cut into folds by perceptual hash; every one is answered once, by a model that was
trained on the other folds by the training job's own entry point. The **base** is pretrained on the Shirts and Tshirts
with a thumbnail, less all that resemble a picture of the task, in plain words that aren't the platform's. Then the same
for one fold of all article types.
"""

from __future__ import annotations

import csv
import resource
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks import Figure, NoDataError, _image, _kaggle
from benchmarks._sides import write_side
from lookbook.drops import pictures, styles, vocabulary
from lookbook.vqa.questions import ATTRIBUTES, PRESETS
from lookbook.vqa.split import side_of

GOAL, ATTRIBUTES_GOAL, CPU_MINUTES_GOAL = 0.83, 6, 15
FOLDS = 4
TASK_TYPES = PRESETS["shirts_and_tshirts"]
HYPERPARAMETERS = {"epochs": "6", "batch_size": "16", "patience": "3"}
LARGE = 150  # pixels of width from which on a picture is one of the task's
ALIKE = 6  # bits by which perceptual hashes of much the same picture differ at most
_HERE = Path(__file__).parent


@dataclass(frozen=True)
class Product:
    """A labelled product with a picture."""

    product_id: str
    article_type: str
    labels: dict[str, str]
    path: Path
    large: bool
    phash: str

    @property
    def fold(self) -> int:
        """Which fold its picture is in: alike pictures are in the same."""
        return int(self.phash, 16) % 10_007 % FOLDS


def run(data: Path | None) -> Figure:
    """Pretrain the base, train and score both tasks, and print the tables."""
    if data is None:
        raise NoDataError("it needs DATA=<directory in Kaggle's layout with large pictures among the small>")
    products = list(_products(data))
    large = [product for product in products if product.large]
    task = [product for product in large if product.article_type in TASK_TYPES]
    with tempfile.TemporaryDirectory(prefix="lookbook-accuracy-") as directory:
        scratch = Path(directory)
        unlike = _unlike([product for product in products if not product.large], large)
        base, base_minutes = _pretrained(scratch, data, unlike)
        scores, minutes = _scored(scratch / "task", base, task, range(FOLDS))
        every, _ = _scored(scratch / "every", base, [one for one in large if one.labels.keys() - {"baseColour"}], [0])
    print(_table("Shirts and Tshirts", scores), _table("All article types, one fold", every), sep="\n")
    pooled = scores.pop("pooled")
    above = sorted(name for name, score in scores.items() if score["model"] > score["majority"])
    ok = pooled["model"] >= GOAL and len(above) >= ATTRIBUTES_GOAL and minutes <= CPU_MINUTES_GOAL
    detail = {
        "majority": round(pooled["majority"], 3),
        "blind": round(pooled["blind"], 3),
        "above_majority": above,
        "training_cpu_minutes": round(minutes, 1),
        "products": len(task),
        "base_pretrained_on": f"{len(unlike)} Shirts and Tshirts, thumbnails, none like a picture of the task",
        "base_cpu_minutes": round(base_minutes, 1),
        "all_types": {name: round(every["pooled"][name], 3) for name in ("model", "majority", "blind")},
    }
    goal = f">= {GOAL}, above the majority answer on >= {ATTRIBUTES_GOAL} of 8 in <= {CPU_MINUTES_GOAL} CPU-minutes"
    return Figure(
        "train_accuracy_real", round(pooled["model"], 4), "exact match on the reference's task", goal, ok, detail
    )


def _products(data: Path) -> Iterator[Product]:
    """Yield the labelled products that the task or the base can use, values as the platform says them."""
    words = vocabulary.load()
    for row in _kaggle.rows(data):
        picture, described = (data / name for name in _kaggle.names(row.fields["id"]))
        if not (picture.exists() and described.exists()):
            continue
        looked_at = pictures.inspect(picture.read_bytes(), max_pixels=10**8)
        large = (looked_at.width or 0) >= LARGE
        if not looked_at.phash or not (large or row.fields["articleType"] in TASK_TYPES):
            continue
        stated = styles.parse(described.read_bytes(), row.fields["id"]).attributes
        labels = words.normalise(stated | {"baseColour": row.fields["baseColour"]})
        asked = {name: labels[name] for name in ATTRIBUTES if name in labels}
        if asked:
            yield Product(row.fields["id"], row.fields["articleType"], asked, picture, large, looked_at.phash)


def _unlike(products: Sequence[Product], task: Sequence[Product]) -> list[Product]:
    """Return the products whose picture resembles none of the task's."""
    hashes = np.array([int(product.phash, 16) for product in task], dtype=np.uint64)
    return [one for one in products if np.bitwise_count(hashes ^ np.uint64(int(one.phash, 16))).min() > ALIKE]


def _pretrained(scratch: Path, data: Path, products: Iterable[Product]) -> tuple[Path, float]:
    """Return a base pretrained on these products, and the CPU-minutes that it took."""
    drop, base = scratch / "drop", scratch / "base"
    (drop / "images").mkdir(parents=True)
    (drop / "styles").symlink_to((data / "styles").absolute())
    chosen = {product.product_id: product for product in products}
    for product in chosen.values():
        (drop / "images" / product.path.name).symlink_to(product.path.absolute())
    rows = [row.fields for row in _kaggle.rows(data) if row.fields["id"] in chosen]
    with (drop / "styles.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    before = _cpu_minutes()
    _image.run("-m", "lookbook_image.pretrain", "--drops", str(drop), "--out", str(base))
    return base, _cpu_minutes() - before


def _cpu_minutes() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) / 60


def _scored(
    scratch: Path, base: Path, products: Sequence[Product], folds: Iterable[int]
) -> tuple[dict[str, dict[str, float]], float]:
    """Train once a fold, on the other folds; return the scores on the held-out pictures and the jobs' CPU-minutes."""
    directories, seconds = [], 0.0
    for fold in folds:
        directory = scratch / str(fold)
        sides: dict[str, list[tuple[str, bytes, dict[str, str]]]] = {"train": [], "validation": [], "benchmark": []}
        for product in products:
            sides[_side(product, fold)].append((product.product_id, product.path.read_bytes(), product.labels))
        for name, side in sides.items():
            write_side(directory / "sides" / name, side)
        report = _image.train(directory / "job", directory / "sides", base=base, **HYPERPARAMETERS)
        seconds += report["cpu_seconds"]
        directories.append(directory)
        print(
            f"fold {fold}: {len(sides['benchmark'])} products held out, {report['cpu_seconds']:.0f} CPU-s", flush=True
        )
    return _image.script(_HERE / "_real_accuracy.py", *directories), seconds / 60


def _side(product: Product, fold: int) -> str:
    if product.fold == fold:
        return "benchmark"
    return "train" if side_of(product.phash, "accuracy", 0.01, 0.1) == "train" else "validation"


def _table(title: str, scores: dict[str, dict[str, float]]) -> str:
    rows = [
        f"| {name} | {score['questions']} | {score['model']:.3f} | {score['majority']:.3f} | {score['blind']:.3f} "
        f"| {score['balanced_model']:.2f} | {score['balanced_majority']:.2f} |"
        for name, score in scores.items()
    ]
    head = [
        f"| {title} | questions | model | majority answer | blind control | model, balanced | majority, balanced |",
        "|---|---|---|---|---|---|---|",
    ]
    return "\n".join([*head, *rows, ""])
