"""Plain `snakemake` starts here; all is in workflow/Snakefile."""


include: "workflow/Snakefile"


# Snakemake takes no default target from a file that is included.
workflow.default_target = "all"
