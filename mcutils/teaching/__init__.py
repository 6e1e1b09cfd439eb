"""Teaching: a landscape of two weights, for a first lesson."""
