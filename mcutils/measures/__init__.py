"""Measures: what traces and weights say in numbers, their intervals and how they are drawn; no study, no store."""
