-- Why a version was saved.
ALTER TABLE rule_versions ADD COLUMN reason TEXT NOT NULL DEFAULT '';

-- What is being written of a rule, beside the version that is live. The text need not be a rule yet.
CREATE TABLE rule_drafts (
    rule_id      TEXT PRIMARY KEY NOT NULL REFERENCES rules (id) ON DELETE CASCADE,
    workspace_id TEXT NOT NULL,
    format       TEXT NOT NULL,
    text         TEXT NOT NULL,
    cases        TEXT,
    base_version BIGINT NOT NULL,
    author       TEXT NOT NULL,
    reason       TEXT NOT NULL,
    generation   BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL
);

-- A frozen candidate that is compared with the live version on what really happens, and how far that came.
CREATE TABLE rule_shadows (
    rule_id        TEXT PRIMARY KEY NOT NULL REFERENCES rules (id) ON DELETE CASCADE,
    workspace_id   TEXT NOT NULL,
    doc            TEXT NOT NULL,
    source         TEXT NOT NULL,
    cases          TEXT,
    base_version   BIGINT NOT NULL,
    -- The state of the script library that the candidate calls.
    library_revision BIGINT NOT NULL,
    author         TEXT NOT NULL,
    reason         TEXT NOT NULL,
    promote_after_days BIGINT,
    after_event    TEXT NOT NULL,
    seen_until     BIGINT NOT NULL,
    same           BIGINT NOT NULL,
    only_live      BIGINT NOT NULL,
    only_candidate BIGINT NOT NULL,
    differs        BIGINT NOT NULL,
    unknown        BIGINT NOT NULL,
    same_at        BIGINT,
    differed_at    BIGINT,
    problem        TEXT,
    generation     BIGINT NOT NULL,
    lease_until    BIGINT NOT NULL,
    started_at     BIGINT NOT NULL
);

-- The latest differences of each shadow.
CREATE TABLE shadow_differences (
    rule_id      TEXT NOT NULL REFERENCES rule_shadows (rule_id) ON DELETE CASCADE,
    seq          BIGINT NOT NULL,
    workspace_id TEXT NOT NULL,
    at           BIGINT NOT NULL,
    doc          TEXT NOT NULL,
    PRIMARY KEY (rule_id, seq)
);
