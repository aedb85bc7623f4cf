"""The analyses (分析), one folder each: `query.sql`, `checks.sql`, `schema.yaml`, `meaning.yaml`.

A folder named `rfm_v1` fills the lake table `rfm_v1`; a changed meaning is a new folder `rfm_v2`. Adding an analysis
is adding a folder: the catalogue, the nightly machine, the Glue table and the tests find it by themselves.
"""
