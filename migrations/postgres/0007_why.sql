-- What a refusal looked at beside the event and the version, so that it can be explained whole later.
ALTER TABLE decisions ADD COLUMN seen TEXT;

-- When a rule was switched on and off: "it was off then" is an answer as well.
CREATE TABLE rule_switches (
    workspace_id TEXT NOT NULL,
    rule_id      TEXT NOT NULL REFERENCES rules (id) ON DELETE CASCADE,
    at           BIGINT NOT NULL,
    is_enabled   BIGINT NOT NULL,
    PRIMARY KEY (rule_id, at)
);
INSERT INTO rule_switches (workspace_id, rule_id, at, is_enabled)
    SELECT workspace_id, id, updated_at, is_enabled FROM rules;
