"""The node type that converses: speech or text in, speech and text out, by LFM2-Audio."""
