"""The report: tables, pictures and one self-contained page, made from what the stages wrote.

`write.write_report` makes all of it.
"""
