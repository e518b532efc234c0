-- Serves: whether any rule changed since a server read them, asked with batches of events where several share a database.
CREATE INDEX rules_updated ON rules (updated_at);
