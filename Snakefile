"""facefill: from raw photos to a trained face-completion model and a report.

The data's way is one way, one file of rules per stage:
raw (download, render) -> index -> align -> flatten -> split -> train -> complete -> measure -> report
and from the models to photographs with holes: restore
"""

from snakemake.utils import min_version

min_version("9.19")


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/common_bundle.smk"
include: "workflow/rules/common_restore.smk"
include: "workflow/rules/raw.smk"
include: "workflow/rules/index.smk"
include: "workflow/rules/align.smk"
include: "workflow/rules/flatten.smk"
include: "workflow/rules/split.smk"
include: "workflow/rules/describe.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/transfer.smk"
include: "workflow/rules/measure_model.smk"
include: "workflow/rules/complete.smk"
include: "workflow/rules/calibrate.smk"
include: "workflow/rules/measure.smk"
include: "workflow/rules/report.smk"
include: "workflow/rules/publish.smk"
include: "workflow/rules/bundle.smk"
include: "workflow/rules/restore.smk"


rule all:
    default_target: True
    input:
        # Not the report alone: whatever of these was deleted is made again.
        whole_build(config["dataset"]),


onstart:
    begin()


onsuccess:
    page = Path(f"results/{config['dataset']}/report/index.html")
    if page.exists():
        print(f"facefill: the report is {page}", file=sys.stderr)
    for page in map(Path, restored_sets() if config["restore"] else []):
        if page.exists() and page.stat().st_mtime >= STARTED[0]:
            print(f"facefill: photographs were restored: {page}", file=sys.stderr)
