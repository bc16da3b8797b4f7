"""Unlearning in multimodal language models: how a thing looks goes, what is known of it stays."""
