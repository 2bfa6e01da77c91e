"""Makes the tiny BLIP-2 base: ``python -m lookbook_image.pretrain --drops DIR [DIR …] --out DIR``.

In stages, because one language-model loss from end to end hardly trains a model this small: first the vision tower and
the Q-Former learn to see (``seeing``), then the language model learns to say what they see (``talking``).
"""
