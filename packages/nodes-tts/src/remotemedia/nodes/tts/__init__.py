"""Node types that speak: text in, audio out, sentence by sentence."""
