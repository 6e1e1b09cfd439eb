"""The engine: results named by what determines them, kept in a store, computed here or on a cluster."""
