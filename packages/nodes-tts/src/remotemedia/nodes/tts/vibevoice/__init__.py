"""The node type `vibe_voice`: text, or speech with its words, spoken in a recorded voice."""
