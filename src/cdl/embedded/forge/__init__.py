"""A forge for laptops and tests: bare git repositories, and the part of GitLab's REST API v4 that clients here speak.

``python -m cdl.embedded.forge --data DIR --port N --users FILE`` starts it. Its clients are the unmodified
``python-gitlab`` and git itself.
"""
