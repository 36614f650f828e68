-- SPDX-License-Identifier: MIT
-- jobs.sqlite from version 1 to 2, run in one transaction that sets user_version too.

-- What /metrics says of jobs that have ended, kept by the trigger below; it only grows.
CREATE TABLE IF NOT EXISTS EndCounts (
	kind TEXT NOT NULL,
	subject TEXT NOT NULL,
	release TEXT NOT NULL,
	outcome TEXT NOT NULL,
	n INTEGER NOT NULL,
	PRIMARY KEY (kind, subject, release, outcome)
) WITHOUT ROWID;
-- The bounds of the histogram, ms; the last one is infinity.
CREATE TABLE IF NOT EXISTS DurationBounds (
	le INTEGER PRIMARY KEY NOT NULL
) WITHOUT ROWID;
INSERT OR IGNORE INTO DurationBounds (le) VALUES (500), (1000), (2500), (5000), (10000), (20000),
	(30000), (60000), (120000), (300000), (600000), (900000), (9223372036854775807);
-- How many took at most so long, for every bound.
CREATE TABLE IF NOT EXISTS DurationBuckets (
	kind TEXT NOT NULL,
	subject TEXT NOT NULL,
	le INTEGER NOT NULL,
	n INTEGER NOT NULL,
	PRIMARY KEY (kind, subject, le)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS DurationSums (
	kind TEXT NOT NULL,
	subject TEXT NOT NULL,
	ms INTEGER NOT NULL,
	PRIMARY KEY (kind, subject)
) WITHOUT ROWID;

CREATE TRIGGER IF NOT EXISTS Jobs_end AFTER UPDATE OF state ON Jobs
WHEN old.state IN ('queued', 'running') AND new.state NOT IN ('queued', 'running') BEGIN
	INSERT INTO EndCounts VALUES (new.kind, coalesce(new.subject, ''),
		coalesce(new.release, ''), coalesce(new.outcome, new.state), 1)
		ON CONFLICT DO UPDATE SET n = n + 1;
	-- A job that ended in the queue took no time.
	INSERT INTO DurationBuckets SELECT new.kind, coalesce(new.subject, ''), le,
		max(new.finished - new.started, 0) <= le FROM DurationBounds
		WHERE new.started IS NOT NULL AND new.finished IS NOT NULL
		ON CONFLICT DO UPDATE SET n = n + excluded.n;
	INSERT INTO DurationSums SELECT new.kind, coalesce(new.subject, ''),
		max(new.finished - new.started, 0)
		WHERE new.started IS NOT NULL AND new.finished IS NOT NULL
		ON CONFLICT DO UPDATE SET ms = ms + excluded.ms;
END;

-- What there was before.
INSERT INTO EndCounts SELECT kind, coalesce(subject, ''), coalesce(release, ''),
	coalesce(outcome, state), count(*) FROM Jobs WHERE state NOT IN ('queued', 'running')
	GROUP BY 1, 2, 3, 4;
INSERT INTO DurationBuckets SELECT kind, coalesce(subject, ''), le,
	sum(max(finished - started, 0) <= le) FROM Jobs CROSS JOIN DurationBounds
	WHERE state NOT IN ('queued', 'running') AND started IS NOT NULL AND finished IS NOT NULL
	GROUP BY 1, 2, 3;
INSERT INTO DurationSums SELECT kind, coalesce(subject, ''), sum(max(finished - started, 0))
	FROM Jobs
	WHERE state NOT IN ('queued', 'running') AND started IS NOT NULL AND finished IS NOT NULL
	GROUP BY 1, 2;
