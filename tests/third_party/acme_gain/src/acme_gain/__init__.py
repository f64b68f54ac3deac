"""Makes audio louder."""
