"""cdl on a Kubernetes API server."""
