"""The walk from a served answer to everything it came from: as a graph, and as pictures of it. Pure."""

from .graph import Behind, Edge, Graph, Node, graph, release_named_by
from .page import page
from .svg import svg

__all__ = ["Behind", "Edge", "Graph", "Node", "graph", "page", "release_named_by", "svg"]
