"""Unlearning: methods that turn an original model into one that has forgotten."""
