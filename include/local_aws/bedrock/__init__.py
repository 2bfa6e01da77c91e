"""Bedrock Runtime: Converse and InvokeModel, written by a stand-in or passed to an OpenAI-compatible server."""
