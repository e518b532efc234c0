-- What SQLite lists events by; PostgreSQL goes on listing them by their topics.
SELECT 1;
