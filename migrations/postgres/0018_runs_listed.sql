-- What SQLite lists runs by; PostgreSQL goes on listing them by their rule.
SELECT 1;
