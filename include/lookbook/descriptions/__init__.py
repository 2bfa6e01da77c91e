"""From facts to a published description: prompts, Bedrock, faithfulness, cost."""
