"""Facts, prompts, Bedrock, the faithfulness check, and publishing what passed it."""
