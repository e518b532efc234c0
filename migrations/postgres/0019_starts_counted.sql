-- What SQLite counts starts by; PostgreSQL goes on counting them by the index of runs.
SELECT 1;
