CREATE TABLE IF NOT EXISTS facts (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS projects (
    name TEXT PRIMARY KEY, description TEXT NOT NULL, created INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS repos (
    id INTEGER PRIMARY KEY, project TEXT NOT NULL REFERENCES projects, name TEXT NOT NULL, type TEXT NOT NULL,
    description TEXT NOT NULL, created INTEGER NOT NULL, UNIQUE (project, name, type));
CREATE TABLE IF NOT EXISTS commits (
    id INTEGER PRIMARY KEY AUTOINCREMENT, repo INTEGER NOT NULL REFERENCES repos ON DELETE CASCADE,
    set_id TEXT NOT NULL, parent INTEGER REFERENCES commits, branch TEXT NOT NULL, origin INTEGER NOT NULL,
    description TEXT NOT NULL, error TEXT NOT NULL DEFAULT '', started INTEGER NOT NULL,
    finishing INTEGER NOT NULL DEFAULT 0, finished INTEGER NOT NULL DEFAULT 0, size INTEGER NOT NULL DEFAULT 0,
    UNIQUE (repo, set_id));
CREATE INDEX IF NOT EXISTS commits_by_set ON commits (set_id);
CREATE INDEX IF NOT EXISTS commits_by_parent ON commits (parent);
CREATE INDEX IF NOT EXISTS commits_finishing ON commits (id) WHERE finishing > 0 AND finished = 0;
CREATE TABLE IF NOT EXISTS commit_provenance (
    downstream INTEGER NOT NULL REFERENCES commits ON DELETE CASCADE,
    upstream INTEGER NOT NULL REFERENCES commits ON DELETE CASCADE,
    branch TEXT NOT NULL, PRIMARY KEY (downstream, upstream)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS commit_subvenance ON commit_provenance (upstream);
CREATE TABLE IF NOT EXISTS branches (
    id INTEGER PRIMARY KEY, repo INTEGER NOT NULL REFERENCES repos ON DELETE CASCADE, name TEXT NOT NULL,
    head INTEGER REFERENCES commits, created INTEGER NOT NULL, updated INTEGER NOT NULL, UNIQUE (repo, name));
CREATE INDEX IF NOT EXISTS branches_by_head ON branches (head);
CREATE TABLE IF NOT EXISTS branch_provenance (
    downstream INTEGER NOT NULL REFERENCES branches ON DELETE CASCADE,
    upstream INTEGER NOT NULL REFERENCES branches ON DELETE CASCADE,
    never INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (downstream, upstream)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS branch_subvenance ON branch_provenance (upstream);
-- What a commit changes over its base, in order: put (append), set (replace), del (path or subtree), untag.
CREATE TABLE IF NOT EXISTS changes (
    commit_id INTEGER NOT NULL REFERENCES commits ON DELETE CASCADE, seq INTEGER NOT NULL, kind TEXT NOT NULL,
    path TEXT NOT NULL, tag TEXT NOT NULL, digest BLOB NOT NULL, size INTEGER NOT NULL,
    PRIMARY KEY (commit_id, seq)) WITHOUT ROWID;
-- A whole tree, kept now and then so that a long history need not be replayed. Always derivable.
CREATE TABLE IF NOT EXISTS snapshots (
    commit_id INTEGER PRIMARY KEY REFERENCES commits ON DELETE CASCADE, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS blobs (id INTEGER PRIMARY KEY, digest BLOB NOT NULL UNIQUE, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS triggers (
    branch INTEGER PRIMARY KEY REFERENCES branches ON DELETE CASCADE, watched TEXT NOT NULL, body BLOB NOT NULL);
-- The last time at which a cron input was due and ticked.
CREATE TABLE IF NOT EXISTS ticks (
    repo INTEGER PRIMARY KEY REFERENCES repos ON DELETE CASCADE, last INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS secrets (name TEXT PRIMARY KEY, type TEXT NOT NULL, created INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS secret_values (
    name TEXT NOT NULL REFERENCES secrets ON DELETE CASCADE, key TEXT NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (name, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS transactions (id TEXT PRIMARY KEY, started INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS transaction_requests (
    id TEXT NOT NULL REFERENCES transactions ON DELETE CASCADE, seq INTEGER NOT NULL, body BLOB NOT NULL,
    PRIMARY KEY (id, seq)) WITHOUT ROWID;
-- Changes that belong to no commit yet; forgotten when nobody renews them.
CREATE TABLE IF NOT EXISTS file_sets (id TEXT PRIMARY KEY, expires INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS file_set_changes (
    file_set TEXT NOT NULL REFERENCES file_sets ON DELETE CASCADE, seq INTEGER NOT NULL, kind TEXT NOT NULL,
    path TEXT NOT NULL, tag TEXT NOT NULL, digest BLOB NOT NULL, size INTEGER NOT NULL,
    PRIMARY KEY (file_set, seq)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS pipelines (
    id INTEGER PRIMARY KEY, project TEXT NOT NULL REFERENCES projects, name TEXT NOT NULL, version INTEGER NOT NULL,
    output_branch TEXT NOT NULL, stopped INTEGER NOT NULL DEFAULT 0, state INTEGER NOT NULL,
    reason TEXT NOT NULL DEFAULT '',
    created INTEGER NOT NULL, UNIQUE (project, name));
CREATE TABLE IF NOT EXISTS specs (
    pipeline INTEGER NOT NULL REFERENCES pipelines ON DELETE CASCADE, version INTEGER NOT NULL, spec BLOB NOT NULL,
    user_json TEXT NOT NULL, effective_json TEXT NOT NULL, salt TEXT NOT NULL, spec_commit TEXT NOT NULL,
    updated INTEGER NOT NULL, PRIMARY KEY (pipeline, version));
CREATE TABLE IF NOT EXISTS jobs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, pipeline INTEGER NOT NULL REFERENCES pipelines ON DELETE CASCADE,
    set_id TEXT NOT NULL, version INTEGER NOT NULL, output INTEGER NOT NULL REFERENCES commits ON DELETE CASCADE,
    state INTEGER NOT NULL, reason TEXT NOT NULL DEFAULT '', restart INTEGER NOT NULL DEFAULT 0,
    planned INTEGER NOT NULL DEFAULT 0, total INTEGER NOT NULL DEFAULT 0, created INTEGER NOT NULL,
    started INTEGER NOT NULL DEFAULT 0, finished INTEGER NOT NULL DEFAULT 0, UNIQUE (pipeline, set_id));
CREATE INDEX IF NOT EXISTS jobs_by_set ON jobs (set_id);
CREATE INDEX IF NOT EXISTS jobs_by_output ON jobs (output);
CREATE INDEX IF NOT EXISTS jobs_live ON jobs (pipeline, id) WHERE state IN (1, 2, 3, 7, 8);
CREATE TABLE IF NOT EXISTS datums (
    job INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE, id TEXT NOT NULL, seq INTEGER NOT NULL,
    hash TEXT NOT NULL, state INTEGER NOT NULL, counted INTEGER NOT NULL, path TEXT NOT NULL, origin TEXT NOT NULL,
    download_ns INTEGER NOT NULL DEFAULT 0, process_ns INTEGER NOT NULL DEFAULT 0, upload_ns INTEGER NOT NULL DEFAULT 0,
    download_bytes INTEGER NOT NULL DEFAULT 0, upload_bytes INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (job, id)) WITHOUT ROWID;
-- What a datum reads: `leaf` is the number of the pfs or cron input, `upstream` the commit, which may be removed later.
CREATE TABLE IF NOT EXISTS datum_files (
    job INTEGER NOT NULL REFERENCES jobs ON DELETE CASCADE, datum TEXT NOT NULL, seq INTEGER NOT NULL,
    leaf INTEGER NOT NULL, upstream INTEGER NOT NULL, path TEXT NOT NULL, joined TEXT NOT NULL, grouped TEXT NOT NULL,
    PRIMARY KEY (job, datum, seq)) WITHOUT ROWID;
-- Folders written before there was more than one input: a datum's path was all that it read.
INSERT INTO datum_files SELECT d.job, d.id, 0, 0, p.upstream, d.path, '', '' FROM datums d
    JOIN jobs j ON j.id = d.job JOIN commit_provenance p ON p.downstream = j.output
    JOIN commits c ON c.id = p.upstream JOIN repos r ON r.id = c.repo AND r.type <> 'spec'
    WHERE NOT EXISTS (SELECT 1 FROM datum_files);
-- What people write beside things; a row that names nothing is about the cluster.
CREATE TABLE IF NOT EXISTS metadata (
    project TEXT REFERENCES projects ON DELETE CASCADE, repo INTEGER REFERENCES repos ON DELETE CASCADE,
    branch INTEGER REFERENCES branches ON DELETE CASCADE, commit_id INTEGER REFERENCES commits ON DELETE CASCADE,
    pipeline INTEGER REFERENCES pipelines ON DELETE CASCADE, key TEXT NOT NULL, value TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS metadata_project ON metadata (project);
CREATE INDEX IF NOT EXISTS metadata_repo ON metadata (repo);
CREATE INDEX IF NOT EXISTS metadata_branch ON metadata (branch);
CREATE INDEX IF NOT EXISTS metadata_commit ON metadata (commit_id);
CREATE INDEX IF NOT EXISTS metadata_pipeline ON metadata (pipeline);
-- Defaults of pipeline specs; those of the cluster have no project.
CREATE TABLE IF NOT EXISTS defaults (
    project TEXT UNIQUE REFERENCES projects ON DELETE CASCADE, body TEXT NOT NULL, created INTEGER NOT NULL);
