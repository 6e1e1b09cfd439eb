"""Data: tasks of examples to retain and to forget, and cues planted in them."""
