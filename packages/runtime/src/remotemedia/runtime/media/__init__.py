"""Audio and text files, read and written as streams: memory does not grow with their length."""
