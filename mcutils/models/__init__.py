"""Models: named architectures."""
