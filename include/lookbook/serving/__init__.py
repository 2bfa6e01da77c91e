"""The endpoint: configs, verification, attribute prediction."""
