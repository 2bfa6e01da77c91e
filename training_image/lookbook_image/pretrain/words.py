"""The base's words: the tokenizer, and the values of real catalogues that it must be able to say."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

VOCABULARY_SIZE = 800
PAD, END, UNKNOWN = "<pad>", "</s>", "<unk>"

ATTRIBUTES = ("Fabric", "Fit", "Collar", "Neck", "Pattern", "Sleeve Length", "Sleeve Styling", "baseColour")

VALUES: dict[str, tuple[str, ...]] = {
    "Fabric": (
        *("Cotton", "Blended", "Polyester", "Synthetic", "Cotton Blend", "Silk Blend", "Silk", "Acrylic", "Linen"),
        *("Viscose Rayon", "Pure Cotton", "Nylon", "Elastane", "Denim", "Wool", "Leather", "Chiffon", "Georgette"),
        *("Velvet", "Modal", "Fleece", "Lycra", "Satin", "Crepe", "Khadi", "Poly Cotton", "Poly Silk"),
    ),
    "Fit": (
        *("Regular Fit", "Slim Fit", "Skinny Fit", "Tight Fit", "Loose Fit", "Super Skinny Fit", "Straight Fit"),
        *("Relaxed Fit", "Bootcut", "Loose", "Comfort Fit", "Tailored Fit", "Compression Fit"),
    ),
    "Collar": (
        *("Spread Collar", "Hooded", "Slim Collar", "Cutaway Collar", "Mock Collar", "Mandarin Collar"),
        *("Stand Collar", "Peter Pan Collar", "Button-Down Collar", "Built-Up Collar", "Club Collar", "Shawl Collar"),
    ),
    "Neck": (
        *("Round Neck", "Polo Collar", "V-Neck", "Scoop Neck", "Boat Neck", "Shoulder Straps", "Square Neck"),
        *("Strapless", "Shirt Collar", "Cowl Neck", "Halter Neck", "Off-Shoulder", "Tie-Up Neck", "High Neck"),
        *("Henley Neck", "Keyhole Neck", "One Shoulder", "Sweetheart Neck", "Turtle Neck"),
    ),
    "Pattern": (
        *("Printed", "Solid", "Striped", "Checked", "Self Design", "Embellished", "Washed", "Colourblocked", "Dyed"),
        *("Woven Design", "Textured", "Patterned", "Polka Dots", "Floral", "Embroidered", "Graphic", "Abstract"),
    ),
    "Sleeve Length": (
        *("Short Sleeves", "Long Sleeves", "Sleeveless", "Three-Quarter Sleeves", "No Sleeves", "3/4 Sleeves"),
        "Half Sleeves",
    ),
    "Sleeve Styling": (
        *("Regular Sleeves", "Cap Sleeves", "Puff Sleeves", "Cuffed Sleeves", "Raglan Sleeves", "Kimono Sleeves"),
        *("Roll-Up Sleeves", "Flutter Sleeves", "Extended Sleeves", "Batwing Sleeves", "Flared Sleeves"),
        *("Bell Sleeves", "Cold-Shoulder Sleeves"),
    ),
    "baseColour": (
        *("Black", "White", "Blue", "Grey", "Brown", "Red", "Green", "Navy Blue", "Purple", "Pink", "Yellow"),
        *("Maroon", "Beige", "Orange", "Silver", "Cream", "Olive", "Tan", "Charcoal", "Gold", "Peach", "Multi"),
        *("Steel", "Khaki", "Burgundy", "Lavender", "Copper", "Teal", "Magenta", "Coffee Brown", "Off White"),
        *("Taupe", "Mustard", "Turquoise Blue", "Mauve", "Fluorescent Green", "Rust", "Grey Melange", "Nude"),
        *("Bronze", "Lime Green", "Sea Green", "Mushroom Brown", "Metallic", "Rose", "Skin"),
    ),
    "articleType": (
        *("Tshirts", "Shirts", "Tops", "Dresses", "Kurtas", "Sweatshirts", "Sweaters", "Jackets", "Jeans"),
        *("Trousers", "Shorts", "Skirts", "Track Pants", "Kurtis", "Tunics", "Leggings", "Capris", "Innerwear Vests"),
        *("Nightdress", "Sarees", "Blazers", "Waistcoat", "Rompers", "Camisoles", "Churidar", "Dupatta"),
    ),
}
"""Values that catalogues in Kaggle's layout state, the frequent ones and some that are rare."""


def vocabulary() -> tuple[str, ...]:
    """Return everything the base must be able to say: each value and each attribute's name, once."""
    values = (value for attribute in VALUES.values() for value in attribute)
    return tuple(dict.fromkeys((*values, *ATTRIBUTES)))


def train_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Train a byte-level BPE of at most VOCABULARY_SIZE tokens on ``texts``: no text is unknown to it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE - 1,  # the processor adds the picture's placeholder
        special_tokens=[PAD, END, UNKNOWN],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    end = (END, tokenizer.token_to_id(END))
    tokenizer.post_processor = processors.TemplateProcessing(single=f"$A {END}", special_tokens=[end])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=PAD, eos_token=END, unk_token=UNKNOWN, clean_up_tokenization_spaces=False
    )
