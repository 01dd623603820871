"""Rule index: the photos -> index.csv."""

from facefill_stage import stage

with stage(snakemake) as work:
    from facefill.core.files import write_table
    from facefill.index import check_people, index_photos

    params = snakemake.params
    table = index_photos(params.root, params.identity, params.strip, params.digest, params.cache)
    check_people(table, params.identity, f"datasets.{snakemake.wildcards.dataset}.identity")
    write_table(snakemake.output.csv, table)
    work.items, work.unit = len(table), "photos"
