"""What was generated, read out: text and the probability of its value. The same for every family."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from lookbook_image.answers import SEPARATOR
from lookbook_image.families.base import Generated


class Reader:
    """Reads answers out of generated tokens, for one tokenizer."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self._tokenizer = tokenizer
        vocabulary = tokenizer.get_vocab().items()
        self._separators = torch.tensor([index for token, index in vocabulary if SEPARATOR in token])

    def read(self, tokens: Tensor, logits: Sequence[Tensor]) -> list[Generated]:
        """Return n answers.

        Args:
            tokens: the generated tokens alone, shape (n, t), int64; after its end token a row is padding.
            logits: for each of the t steps what the tokens were chosen from, shape (n, vocabulary).
        """
        tokens = tokens.cpu()
        steps = torch.stack(list(logits), dim=1).float().log_softmax(-1).cpu()
        log_probability = steps.gather(-1, tokens.unsqueeze(-1)).squeeze(-1)
        log_probability = log_probability.masked_fill(~self.value_tokens(tokens), 0).sum(1)
        texts = self._tokenizer.batch_decode(tokens, skip_special_tokens=True)
        return [Generated(text.strip(), p) for text, p in zip(texts, log_probability.exp().tolist(), strict=True)]

    def value_tokens(self, tokens: Tensor) -> Tensor:
        """Tell which of ``tokens`` (n, t) are the value or its end: those after the separator, padding excepted."""
        separator = torch.isin(tokens, self._separators)
        after = (separator.cumsum(1) - separator.int()) > 0
        formless = ~separator.any(1, keepdim=True)
        end = (tokens == self._tokenizer.eos_token_id).int()
        until_end = (end.cumsum(1) - end) == 0
        return (after | formless) & until_end
