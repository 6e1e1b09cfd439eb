"""The paper's ledger: its experiments as data, their tables, the declared tests, and the rows with their words."""
