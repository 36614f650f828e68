-- SPDX-License-Identifier: MIT
-- stats.sqlite from version 2 to 3, run in one transaction that sets user_version too.

-- What /stats says in JSON besides, kept by the triggers below: builds by day, by board and
-- container, and how many took how long, the time in ms cut to three digits.
CREATE TABLE IF NOT EXISTS Days (
	day TEXT PRIMARY KEY NOT NULL,
	builds INTEGER NOT NULL,
	failed INTEGER NOT NULL,
	cached INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS Kinds (
	board TEXT NOT NULL,
	container TEXT NOT NULL,
	builds INTEGER NOT NULL,
	failed INTEGER NOT NULL,
	cached INTEGER NOT NULL,
	PRIMARY KEY (board, container)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS Durations (
	ms INTEGER PRIMARY KEY NOT NULL,
	n INTEGER NOT NULL
);

CREATE TRIGGER IF NOT EXISTS Requests_report AFTER INSERT ON Requests BEGIN
	INSERT INTO Days VALUES (substr(new.request_time, 1, 10), 1, NOT new.success,
		new.build_duration IS NULL) ON CONFLICT DO UPDATE SET builds = builds + 1,
		failed = failed + excluded.failed, cached = cached + excluded.cached;
	INSERT INTO Kinds VALUES (new.board, new.container, 1, NOT new.success,
		new.build_duration IS NULL) ON CONFLICT DO UPDATE SET builds = builds + 1,
		failed = failed + excluded.failed, cached = cached + excluded.cached;
	INSERT INTO Durations SELECT new.build_duration - new.build_duration
			% iif(new.build_duration < 1000, 1, iif(new.build_duration < 10000, 10,
			iif(new.build_duration < 100000, 100, 1000))), 1
		WHERE new.build_duration >= 0 ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER IF NOT EXISTS Requests_unreport AFTER DELETE ON Requests BEGIN
	UPDATE Days SET builds = builds - 1, failed = failed - NOT old.success,
		cached = cached - (old.build_duration IS NULL)
		WHERE day = substr(old.request_time, 1, 10);
	DELETE FROM Days WHERE day = substr(old.request_time, 1, 10) AND builds = 0;
	UPDATE Kinds SET builds = builds - 1, failed = failed - NOT old.success,
		cached = cached - (old.build_duration IS NULL)
		WHERE board = old.board AND container = old.container;
	DELETE FROM Kinds WHERE board = old.board AND container = old.container AND builds = 0;
	UPDATE Durations SET n = n - 1 WHERE ms = old.build_duration - old.build_duration
			% iif(old.build_duration < 1000, 1, iif(old.build_duration < 10000, 10,
			iif(old.build_duration < 100000, 100, 1000)));
	DELETE FROM Durations WHERE n = 0 AND ms = old.build_duration - old.build_duration
			% iif(old.build_duration < 1000, 1, iif(old.build_duration < 10000, 10,
			iif(old.build_duration < 100000, 100, 1000)));
END;

-- What there was before.
INSERT INTO Days SELECT substr(request_time, 1, 10), count(*), sum(NOT success),
	sum(build_duration IS NULL) FROM Requests GROUP BY 1;
INSERT INTO Kinds SELECT board, container, count(*), sum(NOT success),
	sum(build_duration IS NULL) FROM Requests GROUP BY 1, 2;
INSERT INTO Durations SELECT build_duration - build_duration
		% iif(build_duration < 1000, 1, iif(build_duration < 10000, 10,
		iif(build_duration < 100000, 100, 1000))), count(*)
	FROM Requests WHERE build_duration >= 0 GROUP BY 1;
