-- SPDX-License-Identifier: MIT
-- stats.sqlite from version 1 to 2, run in one transaction that sets user_version too.

-- What /metrics says of requests, kept by the trigger below. Unlike Counts it only grows: what is
-- deleted was asked for all the same.
CREATE TABLE IF NOT EXISTS RequestCounts (
	board TEXT NOT NULL,
	container TEXT NOT NULL,
	success INTEGER NOT NULL,
	cached INTEGER NOT NULL,
	n INTEGER NOT NULL,
	PRIMARY KEY (board, container, success, cached)
) WITHOUT ROWID;

CREATE TRIGGER IF NOT EXISTS Requests_count AFTER INSERT ON Requests BEGIN
	INSERT INTO RequestCounts VALUES (new.board, new.container, new.success,
		new.build_duration IS NULL, 1) ON CONFLICT DO UPDATE SET n = n + 1;
END;

-- What there was before.
INSERT INTO RequestCounts SELECT board, container, success, build_duration IS NULL, count(*)
	FROM Requests GROUP BY 1, 2, 3, 4;
