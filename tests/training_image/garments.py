"""Simple garments for tests, a coloured body with or without sleeves, and the sides of a data set of them."""

from __future__ import annotations

import hashlib
import io
import json
import random
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image, ImageDraw

COLOURS = {"Red": (196, 32, 40), "Blue": (42, 92, 196), "Yellow": (238, 196, 38), "Black": (40, 40, 44)}
SLEEVES = {"Sleeveless": 0, "Long Sleeves": 70}
QUESTIONS = {
    "Sleeve Length": "What is the sleeve length of the clothing in this picture?",
    "baseColour": "What is the colour of the clothing in this picture?",
}


def draw(colour: str, sleeves: str, rng: random.Random) -> bytes:
    """Return the JPEG of a garment that stands a little elsewhere each time."""
    picture = Image.new("RGB", (96, 128), (225, 225, 228))
    pen, x, y = ImageDraw.Draw(picture), rng.randint(-4, 4), rng.randint(-4, 4)
    pen.rectangle((32 + x, 30 + y, 64 + x, 100 + y), fill=COLOURS[colour])
    if length := SLEEVES[sleeves]:
        pen.polygon(
            [(32 + x, 30 + y), (12 + x, 30 + y + length), (20 + x, 30 + y + length), (36 + x, 45 + y)], COLOURS[colour]
        )
        pen.polygon(
            [(64 + x, 30 + y), (84 + x, 30 + y + length), (76 + x, 30 + y + length), (60 + x, 45 + y)], COLOURS[colour]
        )
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=90)
    return file.getvalue()


def write_side(directory: Path, garments: int, seed: int) -> Path:
    """Write a side of ``garments`` garments, two questions each, and return its directory."""
    rng, rows, pictures = random.Random(seed), list[dict[str, str]](), dict[str, bytes]()
    for number in range(garments):
        values = {"Sleeve Length": rng.choice(list(SLEEVES)), "baseColour": rng.choice(list(COLOURS))}
        data = draw(values["baseColour"], values["Sleeve Length"], rng)
        name = f"{hashlib.sha256(data).hexdigest()}.jpg"
        pictures[name] = data
        rows += [row(f"{seed}-{number}", name, attribute, value) for attribute, value in values.items()]
    write_pairs(directory, rows)
    write_pictures(directory, pictures)
    return directory


def row(product_id: str, picture: str, attribute: str, value: str) -> dict[str, str]:
    """Return one question/answer pair as the data set states it."""
    question = QUESTIONS[attribute]
    return {
        "product_id": product_id,
        "picture": picture,
        "attribute": attribute,
        "question": question,
        "answer": f"{attribute}: {value}",
    }


def write_pairs(directory: Path, rows: list[dict[str, str]]) -> None:
    """Write ``pairs.parquet``."""
    directory.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), directory / "pairs.parquet")


def write_pictures(directory: Path, pictures: dict[str, bytes], shards: int = 1) -> None:
    """Write ``pictures`` (name → JPEG) into ``shards`` tar files."""
    for shard in range(shards):
        with tarfile.open(directory / f"pictures-{shard:05d}.tar", "w") as tar:
            for name in list(pictures)[shard::shards]:
                member = tarfile.TarInfo(name)
                member.size = len(pictures[name])
                tar.addfile(member, io.BytesIO(pictures[name]))


def write_hyperparameters(base: Path, **values: str) -> None:
    """Write the hyperparameters of the job whose container is at ``base``."""
    path = base / "input" / "config" / "hyperparameters.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values))
