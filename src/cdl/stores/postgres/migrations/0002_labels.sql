-- The labels of every dataset version. The role that writes adds rows and ends them; nobody changes what a label was or
-- removes it. A row holds for the versions numbered from "since" up to, and without, "until".

CREATE TABLE cdl.label_set (
    namespace    text NOT NULL,
    pipeline     text NOT NULL,
    number       bigint NOT NULL,      -- 1, 2, 3 and so on for each pipeline; a version that comes back has another
    version      text NOT NULL,
    snapshot     text NOT NULL,
    source       text NOT NULL,
    train_repo   text NOT NULL,
    train_commit text NOT NULL,
    test_repo    text NOT NULL,
    test_commit  text NOT NULL,
    at           timestamptz NOT NULL,
    PRIMARY KEY (namespace, pipeline, number)
);
COMMENT ON TABLE cdl.label_set IS 'Each dataset version whose labels are stored, in the order of storing.';

CREATE TABLE cdl.label (
    label_id    text NOT NULL,         -- the same for the same item of a pipeline's side in every version
    namespace   text NOT NULL,
    pipeline    text NOT NULL,
    side        text NOT NULL CHECK (side IN ('train', 'test')),
    item        text NOT NULL,
    label       text NOT NULL,
    annotator   text NOT NULL,
    labelled_at timestamptz,
    since       bigint NOT NULL,
    until       bigint,
    PRIMARY KEY (label_id, since),
    FOREIGN KEY (namespace, pipeline, since) REFERENCES cdl.label_set,
    FOREIGN KEY (namespace, pipeline, until) REFERENCES cdl.label_set,
    CHECK (until > since)
);
COMMENT ON TABLE cdl.label IS 'What each item was labelled, for the dataset versions from since up to until.';

CREATE UNIQUE INDEX label_now ON cdl.label (label_id) WHERE until IS NULL;
CREATE INDEX label_of ON cdl.label (namespace, pipeline, since);

CREATE FUNCTION cdl.only_ends() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog AS $$
BEGIN
    IF OLD.until IS NOT NULL OR NEW.until IS NULL OR to_jsonb(NEW) - 'until' IS DISTINCT FROM to_jsonb(OLD) - 'until' THEN
        RAISE EXCEPTION 'a label can only be ended, and only once' USING ERRCODE = 'insufficient_privilege';
    END IF;
    RETURN NEW;
END $$;

CREATE TRIGGER only_ends BEFORE UPDATE ON cdl.label FOR EACH ROW EXECUTE FUNCTION cdl.only_ends();
CREATE TRIGGER refuse BEFORE DELETE OR TRUNCATE ON cdl.label EXECUTE FUNCTION cdl.refuse();
CREATE TRIGGER refuse BEFORE UPDATE OR DELETE OR TRUNCATE ON cdl.label_set EXECUTE FUNCTION cdl.refuse();

-- The labels of today, a table for each side, in the words of the thesis.
CREATE VIEW cdl.labels AS
    SELECT l.namespace, l.pipeline, l.side, l.label_id, l.label, l.item AS path,
           CASE l.side WHEN 'train' THEN s.train_repo ELSE s.test_repo END AS repo,
           CASE l.side WHEN 'train' THEN s.train_commit ELSE s.test_commit END AS data_commit,
           l.annotator, coalesce(l.labelled_at, s.at) AS date, s.version AS dataset_version, s.source
    FROM cdl.label l JOIN cdl.label_set s ON (s.namespace, s.pipeline, s.number) = (l.namespace, l.pipeline, l.since)
    WHERE l.until IS NULL;
CREATE VIEW cdl.train_labels AS
    SELECT label_id, label, path, repo, data_commit, annotator, date, dataset_version, namespace, pipeline
    FROM cdl.labels WHERE side = 'train';
CREATE VIEW cdl.test_labels AS
    SELECT label_id, label, path, repo, data_commit, annotator, date, dataset_version, namespace, pipeline
    FROM cdl.labels WHERE side = 'test';
COMMENT ON VIEW cdl.train_labels IS 'What each train item is labelled now, and where, when and by whom that was said first.';
COMMENT ON VIEW cdl.test_labels IS 'What each test item is labelled now, and where, when and by whom that was said first.';
