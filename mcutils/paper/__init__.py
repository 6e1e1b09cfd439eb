"""The paper's ledger: its claims and one room a notebook, each with its routes, tests, tables and figures."""
