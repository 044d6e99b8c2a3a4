"""Seldon on one machine: the Kubernetes REST paths of `seldondeployments`, a controller and a router.

An object becomes local processes, one a container, behind one router that enforces traffic weights. The wire is
that of Seldon Core 1.17; nothing here knows the rest of cdl.
"""
