"""A node package from nothing: its name, its files from templates, and writing them."""
