-- Indexes that begin with the workspace or the rule cost every event a page of its own where there are many workspaces:
-- one for events, one for runs, and what only few rows are in.

-- SQLite takes a constraint away with its table only. Foreign keys are not kept while migrations run.
CREATE TABLE events_anew (
    id           TEXT PRIMARY KEY NOT NULL,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    kind         TEXT NOT NULL,
    source       TEXT NOT NULL,
    dedupe       TEXT NOT NULL,
    subject      TEXT,
    at           INTEGER NOT NULL,
    data         TEXT NOT NULL,
    cause        TEXT NOT NULL,
    root_id      TEXT NOT NULL,
    is_decided   INTEGER NOT NULL,
    stored_at    INTEGER NOT NULL
) STRICT;
INSERT INTO events_anew (id, workspace_id, kind, source, dedupe, subject, at, data, cause, root_id, is_decided, stored_at)
    SELECT id, workspace_id, kind, source, dedupe, subject, at, data, cause, root_id, is_decided, stored_at
    FROM events ORDER BY id;
DROP TABLE events;
ALTER TABLE events_anew RENAME TO events;
-- Makes a second delivery the same event. Whoever names no identity gets the event's own id, which comes once.
CREATE UNIQUE INDEX events_dedupe ON events (workspace_id, source, dedupe) WHERE dedupe <> id;
-- Serves: lists of events, which are merged of their kinds; calls of one hook are a kind of their own.
CREATE INDEX events_topic ON events (
    workspace_id,
    (CASE WHEN SUBSTR(source, 1, 5) = 'hook/' THEN kind || '/' || SUBSTR(source, 6) ELSE kind END),
    id
);
-- Serves: events about something other than the hook at which they came.
CREATE INDEX events_subject ON events (workspace_id, subject, id) WHERE subject IS NOT NULL AND source <> 'hook/' || subject;
-- Serves: the dispatch of events that were stored but not yet decided.
CREATE INDEX events_undecided ON events (id) WHERE is_decided = 0;
-- Serves: the budget of events for each chain of consequences.
CREATE INDEX events_root ON events (root_id) WHERE root_id <> id;
-- Serves: retention.
CREATE INDEX events_stored ON events (stored_at);

-- Runs of a workspace are merged of those of its rules; starts since a moment are counted by ids, which hold theirs.
DROP INDEX runs_workspace;
DROP INDEX runs_rate;
-- Serves: runs of one rule that failed or were cancelled.
CREATE INDEX runs_broken_of ON runs (workspace_id, rule_id, state, id) WHERE state IN ('failed', 'cancelled');

-- The latest call of a hook is the latest event of its topic, and need not be written a second time.
ALTER TABLE hooks DROP COLUMN sample;
ALTER TABLE hooks DROP COLUMN sample_at;
