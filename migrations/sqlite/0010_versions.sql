-- Why a version was saved.
ALTER TABLE rule_versions ADD COLUMN reason TEXT NOT NULL DEFAULT '';

-- What is being written of a rule, beside the version that is live. The text need not be a rule yet.
CREATE TABLE rule_drafts (
    rule_id      TEXT PRIMARY KEY NOT NULL REFERENCES rules (id) ON DELETE CASCADE,
    workspace_id TEXT NOT NULL,
    format       TEXT NOT NULL,
    text         TEXT NOT NULL,
    cases        TEXT,
    base_version INTEGER NOT NULL,
    author       TEXT NOT NULL,
    reason       TEXT NOT NULL,
    generation   INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL
) STRICT;

-- A frozen candidate that is compared with the live version on what really happens, and how far that came.
CREATE TABLE rule_shadows (
    rule_id        TEXT PRIMARY KEY NOT NULL REFERENCES rules (id) ON DELETE CASCADE,
    workspace_id   TEXT NOT NULL,
    doc            TEXT NOT NULL,
    source         TEXT NOT NULL,
    cases          TEXT,
    base_version   INTEGER NOT NULL,
    -- The state of the script library that the candidate calls.
    library_revision INTEGER NOT NULL,
    author         TEXT NOT NULL,
    reason         TEXT NOT NULL,
    promote_after_days INTEGER,
    after_event    TEXT NOT NULL,
    seen_until     INTEGER NOT NULL,
    same           INTEGER NOT NULL,
    only_live      INTEGER NOT NULL,
    only_candidate INTEGER NOT NULL,
    differs        INTEGER NOT NULL,
    unknown        INTEGER NOT NULL,
    same_at        INTEGER,
    differed_at    INTEGER,
    problem        TEXT,
    generation     INTEGER NOT NULL,
    lease_until    INTEGER NOT NULL,
    started_at     INTEGER NOT NULL
) STRICT;

-- The latest differences of each shadow.
CREATE TABLE shadow_differences (
    rule_id      TEXT NOT NULL REFERENCES rule_shadows (rule_id) ON DELETE CASCADE,
    seq          INTEGER NOT NULL,
    workspace_id TEXT NOT NULL,
    at           INTEGER NOT NULL,
    doc          TEXT NOT NULL,
    PRIMARY KEY (rule_id, seq)
) STRICT;
