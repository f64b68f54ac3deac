"""The node type `whisper`: audio in, one text per utterance out."""
