-- Runs that wait for an event. An event looks here in the statement that stores it, so it must be found by the
-- kind alone whether anybody waits.
CREATE TABLE waits (
    run_id       TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    path         TEXT NOT NULL,
    workspace_id TEXT NOT NULL,
    kind         TEXT NOT NULL,
    -- Empty is about anything.
    subject      TEXT NOT NULL,
    event_id     TEXT,
    PRIMARY KEY (run_id, path)
) STRICT;
-- Serves: is anybody waiting for this kind, and who is.
CREATE INDEX waits_open ON waits (workspace_id, kind, subject) WHERE event_id IS NULL;
