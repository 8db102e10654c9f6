CREATE TABLE t(id INTEGER PRIMARY KEY, name TEXT, n INTEGER);
WITH RECURSIVE c(i, r) AS (SELECT 1, 11 UNION ALL SELECT i + 1, (r * 1664525 + 1013904223) % 4294967296 FROM c WHERE i < SCALE * 500)
INSERT INTO t SELECT i, 'name' || (r % 1000), r / 65536 FROM c;
CREATE INDEX by_name ON t(name, n);
SELECT name, count(*), sum(n), max(n) FROM t GROUP BY name ORDER BY sum(n) DESC LIMIT 5;
SELECT count(*) FROM t a JOIN t b ON b.id = a.n % (SCALE * 500) + 1 WHERE b.name LIKE 'name1%';
UPDATE t SET n = n * 3 + 1 WHERE id % 3 = 0;
DELETE FROM t WHERE n % 7 = 1;
SELECT sum(n), total(length(name)), group_concat(DISTINCT n % 5) FROM t;
