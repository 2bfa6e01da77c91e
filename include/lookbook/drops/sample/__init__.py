"""A sample drop: drawn garments in Kaggle's layout, with the quirks of the real catalogue.

``python -m lookbook.drops.sample --products 200 --date 2026-11-16 OUT`` writes one; :func:`draw` draws one picture.
"""

from lookbook.drops.sample.drawing import draw
from lookbook.drops.sample.garments import Garment, random_garment
from lookbook.drops.sample.layout import Sample, write_drop

__all__ = ["Garment", "Sample", "draw", "random_garment", "write_drop"]
