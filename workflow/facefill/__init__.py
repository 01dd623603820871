"""facefill's library: alignment, networks, completion and measuring.

It knows neither Snakemake nor the layout of results/: every function takes the
paths it reads and writes.
"""

import os

# PyTorch's threads wait for one another without spinning, or for as short a while as
# workflow/rules/common.smk sets: spinning on costs a factor of ten when something else needs a
# core. Read once, when PyTorch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# NumPy's matrices are small here, and processes share the cores already.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
