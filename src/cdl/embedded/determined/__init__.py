"""A Determined 0.38 master in one process: REST, SQLite, trials as local subprocesses.

``python -m cdl.embedded.determined --data DIR --port N`` starts it. The unmodified SDK and
harness of ``determined`` 0.38.1 are its only clients.
"""
