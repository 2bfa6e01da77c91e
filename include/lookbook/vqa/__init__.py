"""From attributes to questions and answers; vocabulary; split by picture."""
