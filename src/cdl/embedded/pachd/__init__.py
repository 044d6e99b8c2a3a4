"""An embedded pachd: Pachyderm 2.12's gRPC surface in one process, kept in one SQLite file."""
