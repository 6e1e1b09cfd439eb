"""The command line: notebooks, stores and speed."""
