-- Ordinary runs that are let go before the others: how far the walk over them came, which ways runs of a rule go,
-- and what is left of each run that is gone.

-- One row: everything that finished before this place was looked at. Who holds its lock walks on.
CREATE TABLE thinned (
    one         BIGINT PRIMARY KEY NOT NULL,
    finished_at BIGINT NOT NULL,
    run_id      TEXT NOT NULL
);
INSERT INTO thinned (one, finished_at, run_id) VALUES (1, 0, '');

-- A way is what runs of one version have in common: the trigger, the steps, the branches, how they came out.
-- Its number is made of all that.
CREATE TABLE run_ways (
    way          BIGINT PRIMARY KEY NOT NULL,
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    rule_id      TEXT NOT NULL,
    version      BIGINT NOT NULL,
    trigger_id   TEXT NOT NULL,
    steps        TEXT NOT NULL,
    seen         BIGINT NOT NULL,
    let_go       BIGINT NOT NULL,
    week         BIGINT NOT NULL,
    kept_in_week BIGINT NOT NULL,
    kept         TEXT NOT NULL,
    first_at     BIGINT NOT NULL,
    last_at      BIGINT NOT NULL,
    let_go_at    BIGINT
);
-- Serves: the ways of a rule, the latest first.
CREATE INDEX run_ways_rule ON run_ways (workspace_id, rule_id, last_at);
-- Serves: ways that nobody went for long.
CREATE INDEX run_ways_last ON run_ways (last_at);

-- That an event started a rule, and how the run went; gone with the event.
CREATE TABLE runs_let_go (
    event_id TEXT NOT NULL REFERENCES events (id) ON DELETE CASCADE,
    way      BIGINT NOT NULL,
    at       BIGINT NOT NULL,
    PRIMARY KEY (event_id, way)
);
-- Serves: how often, and when last, runs went a way.
CREATE INDEX runs_let_go_way ON runs_let_go (way, at);
