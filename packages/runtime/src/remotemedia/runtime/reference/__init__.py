"""What there is to know about node types, for people and for editors."""
