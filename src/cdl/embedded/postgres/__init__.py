"""A PostgreSQL server for one machine: the binaries of a wheel, a folder of our own, no user, no default password.

As root, which PostgreSQL refuses to be, it runs in a user namespace; nothing of the machine is changed for it.
"""
