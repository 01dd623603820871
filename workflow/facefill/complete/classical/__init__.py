"""Completion without a network: one module per method, and what they have in common."""
