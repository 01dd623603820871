"""Training: what the kinds of model share."""
