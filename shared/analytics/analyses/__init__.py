"""The analyses (分析), one folder each: `query.sql`, `customers.sql`, `checks.sql`, `schema.yaml`, `meaning.yaml`.

Common table expressions that two of its queries stand on are in `rows.sql`, those of several analyses beside the
folders (`--> ../media_costs.sql`, see `sql.read`).

A folder named `rfm_v1` fills the lake table `rfm_v1`; a changed meaning is a new folder `rfm_v2`. Adding an analysis
is adding a folder: the catalogue, the nightly machine, the Glue table and the tests find it by themselves. Its cases:
`inputs.yaml` and `expect.yaml` in `tests/sql/<name>/<case>/`.
"""
