"""facefill's library: alignment, networks, completion and measuring.

It knows neither Snakemake nor the layout of results/: every function takes the
paths it reads and writes.
"""
