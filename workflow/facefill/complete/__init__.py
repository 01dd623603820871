"""Completion: one module per kind of method."""
