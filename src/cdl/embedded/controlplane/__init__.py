"""A Kubernetes API of plain processes: etcd, kube-apiserver and the controllers nobody can do without."""
