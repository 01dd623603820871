"""Training: one module per kind of model."""
