-- Starts of rules that bound or ask for their own number, in the order of their moments. A count by the full-text index
-- reads the row of each run, which is too dear while the writer is held.

-- A rule is counted once a version of it speaks of a count. The starts up to `after_id` were made before and are not all
-- in `starts_counted`.
CREATE TABLE rules_counted (
    rule_id      TEXT PRIMARY KEY NOT NULL REFERENCES rules (id) ON DELETE CASCADE,
    workspace_id TEXT NOT NULL,
    after_id     TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE starts_counted (
    rule_id TEXT NOT NULL,
    run_id  TEXT NOT NULL,
    PRIMARY KEY (rule_id, run_id)
) STRICT, WITHOUT ROWID;

INSERT INTO rules_counted (rule_id, workspace_id, after_id)
    SELECT DISTINCT rule_id, workspace_id, '' FROM rule_versions
    WHERE INSTR(doc, 'max_runs_per_hour') > 0 OR INSTR(doc, 'rule_runs') > 0;
INSERT INTO starts_counted (rule_id, run_id)
    SELECT runs.rule_id, runs.id FROM runs CROSS JOIN rules_counted
    WHERE rules_counted.rule_id = runs.rule_id AND rules_counted.workspace_id = runs.workspace_id;

CREATE TRIGGER rules_are_counted AFTER INSERT ON rule_versions
WHEN (INSTR(new.doc, 'max_runs_per_hour') > 0 OR INSTR(new.doc, 'rule_runs') > 0)
    AND NOT EXISTS (SELECT 1 FROM rules_counted WHERE rule_id = new.rule_id)
BEGIN
    -- After the last place that a run of the rule has; no run is made of a rule without a version.
    INSERT INTO rules_counted (rule_id, workspace_id, after_id) VALUES (
        new.rule_id, new.workspace_id,
        COALESCE((SELECT 'run_0' || PRINTF('%015x', rowid) || 'g' FROM events_listed
                  WHERE events_listed MATCH '"r' || SUBSTR(new.rule_id, -12) || '"' ORDER BY rowid DESC LIMIT 1), '')
    );
END;
CREATE TRIGGER starts_are_counted AFTER INSERT ON runs
WHEN EXISTS (SELECT 1 FROM rules_counted WHERE rule_id = new.rule_id AND workspace_id = new.workspace_id)
BEGIN
    INSERT INTO starts_counted (rule_id, run_id) VALUES (new.rule_id, new.id);
END;
CREATE TRIGGER starts_are_counted_no_more AFTER DELETE ON runs
BEGIN
    DELETE FROM starts_counted WHERE rule_id = old.rule_id AND run_id = old.id;
END;
