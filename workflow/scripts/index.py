"""Rule index: the photos -> index.csv."""

from facefill.files import write_table
from facefill.index import index_photos
from stage import stage

with stage(snakemake) as work:
    table = index_photos(snakemake.params.root, snakemake.params.identity, snakemake.params.digest)
    write_table(snakemake.output.csv, table)
    work.items, work.unit = len(table), "photos"
