-- The script library of each workspace: its modules, and every version of each.
-- A revision numbers the states of a workspace's library, one for each version that was saved
-- and each module that was deleted.
CREATE TABLE script_libraries (
    workspace_id TEXT PRIMARY KEY NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    revision     INTEGER NOT NULL
) STRICT;

CREATE TABLE script_modules (
    workspace_id TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    version      INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    deleted_at   INTEGER,
    PRIMARY KEY (workspace_id, name)
) STRICT;

CREATE TABLE script_module_versions (
    workspace_id    TEXT NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    name            TEXT NOT NULL,
    version         INTEGER NOT NULL,
    revision        INTEGER NOT NULL,
    source          TEXT NOT NULL,
    author          TEXT,
    reason          TEXT NOT NULL,
    override_reason TEXT,
    created_at      INTEGER NOT NULL,
    -- The revision that left the module out while this was its live version.
    gone_revision   INTEGER,
    PRIMARY KEY (workspace_id, name, version),
    UNIQUE (workspace_id, revision)
) STRICT;

-- The revision that a version of a rule calls, for as long as the version is kept. A version without a row names
-- nothing of the library.
CREATE TABLE rule_libraries (
    rule_id      TEXT NOT NULL REFERENCES rules (id) ON DELETE CASCADE,
    version      INTEGER NOT NULL,
    workspace_id TEXT NOT NULL,
    revision     INTEGER NOT NULL,
    PRIMARY KEY (rule_id, version)
) STRICT;
