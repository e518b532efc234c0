-- A version that was made to be tried beside the live one and never became that itself.
ALTER TABLE rule_versions ADD COLUMN is_trial BIGINT NOT NULL DEFAULT 0;

-- A version that decides events about some accounts, while the live one decides all others.
CREATE TABLE rule_canaries (
    rule_id      TEXT PRIMARY KEY NOT NULL REFERENCES rules (id) ON DELETE CASCADE,
    workspace_id TEXT NOT NULL,
    version      BIGINT NOT NULL,
    base_version BIGINT NOT NULL,
    accounts     TEXT NOT NULL,
    -- The state of the script library that it calls.
    library_revision BIGINT NOT NULL,
    failures_max BIGINT,
    author       TEXT NOT NULL,
    reason       TEXT NOT NULL,
    problem      TEXT,
    started_at   BIGINT NOT NULL
);
