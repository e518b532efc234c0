-- Cases that stand beside a rule's version, and why somebody published it although they failed.
CREATE TABLE rule_cases (
    workspace_id    TEXT NOT NULL,
    rule_id         TEXT NOT NULL REFERENCES rules (id) ON DELETE CASCADE,
    version         BIGINT NOT NULL,
    cases           TEXT NOT NULL,
    override_reason TEXT,
    override_by     TEXT,
    PRIMARY KEY (rule_id, version)
);
