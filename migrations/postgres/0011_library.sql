-- The script library of each workspace: its modules, and every version of each.
-- A revision numbers the states of a workspace's library, one for each version that was saved
-- and each module that was deleted.
CREATE TABLE script_libraries (
    workspace_id TEXT PRIMARY KEY NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    revision     BIGINT NOT NULL
);

CREATE TABLE script_modules (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    version      BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    deleted_at   BIGINT,
    PRIMARY KEY (workspace_id, name)
);

CREATE TABLE script_module_versions (
    workspace_id    TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name            TEXT NOT NULL,
    version         BIGINT NOT NULL,
    revision        BIGINT NOT NULL,
    source          TEXT NOT NULL,
    author          TEXT,
    reason          TEXT NOT NULL,
    override_reason TEXT,
    created_at      BIGINT NOT NULL,
    -- The revision that left the module out while this was its live version.
    gone_revision   BIGINT,
    PRIMARY KEY (workspace_id, name, version),
    UNIQUE (workspace_id, revision)
);

-- The revision that a version of a rule calls, for as long as the version is kept. A version without a row names
-- nothing of the library.
CREATE TABLE rule_libraries (
    rule_id      TEXT NOT NULL REFERENCES rules (id) ON DELETE CASCADE,
    version      BIGINT NOT NULL,
    workspace_id TEXT NOT NULL,
    revision     BIGINT NOT NULL,
    PRIMARY KEY (rule_id, version)
);
