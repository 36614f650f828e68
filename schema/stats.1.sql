-- SPDX-License-Identifier: MIT
-- stats.sqlite from version 0 to 1, run in one transaction that sets user_version too.

CREATE TABLE IF NOT EXISTS Requests (
	id INTEGER PRIMARY KEY,
	uid TEXT,
	ip_addr TEXT NOT NULL,
	os TEXT NOT NULL,
	web INTEGER NOT NULL CHECK (web IN (0, 1)),
	serial TEXT,
	hash TEXT NOT NULL,
	board TEXT NOT NULL,
	variant TEXT NOT NULL,
	layers INTEGER NOT NULL,
	container TEXT NOT NULL,
	success INTEGER NOT NULL CHECK (success IN (0, 1)),
	request_time TEXT NOT NULL,
	build_duration INTEGER
);

-- Everything that /stats says, kept by the triggers below: one row, counts by name, and how often
-- each address and hash was seen.
CREATE TABLE IF NOT EXISTS Totals (
	id INTEGER PRIMARY KEY CHECK (id = 1),
	builds INTEGER NOT NULL,
	hashes INTEGER NOT NULL,
	users INTEGER NOT NULL,
	layers INTEGER NOT NULL,
	duration INTEGER NOT NULL
);
INSERT OR IGNORE INTO Totals VALUES (1, 0, 0, 0, 0, 0);
CREATE TABLE IF NOT EXISTS Counts (
	what TEXT NOT NULL CHECK (what IN ('os', 'platform', 'keyboard', 'container')),
	name TEXT NOT NULL,
	n INTEGER NOT NULL,
	PRIMARY KEY (what, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS Users (
	ip_addr TEXT PRIMARY KEY NOT NULL,
	n INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS Hashes (
	hash TEXT PRIMARY KEY NOT NULL,
	n INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TRIGGER IF NOT EXISTS Users_insert AFTER INSERT ON Users BEGIN
	UPDATE Totals SET users = users + 1;
END;
CREATE TRIGGER IF NOT EXISTS Users_delete AFTER DELETE ON Users BEGIN
	UPDATE Totals SET users = users - 1;
END;
CREATE TRIGGER IF NOT EXISTS Hashes_insert AFTER INSERT ON Hashes BEGIN
	UPDATE Totals SET hashes = hashes + 1;
END;
CREATE TRIGGER IF NOT EXISTS Hashes_delete AFTER DELETE ON Hashes BEGIN
	UPDATE Totals SET hashes = hashes - 1;
END;

CREATE TRIGGER IF NOT EXISTS Requests_insert AFTER INSERT ON Requests BEGIN
	UPDATE Totals SET builds = builds + 1, layers = layers + new.layers,
		duration = duration + coalesce(new.build_duration, 0);
	INSERT INTO Users VALUES (new.ip_addr, 1) ON CONFLICT DO UPDATE SET n = n + 1;
	INSERT INTO Hashes VALUES (new.hash, 1) ON CONFLICT DO UPDATE SET n = n + 1;
	INSERT INTO Counts VALUES ('os', new.os, 1),
		('platform', iif(new.web, 'Web', 'Desktop'), 1),
		('keyboard', new.board || '-' || new.variant, 1),
		('container', new.container, 1)
		ON CONFLICT DO UPDATE SET n = n + 1;
END;
CREATE TRIGGER IF NOT EXISTS Requests_delete AFTER DELETE ON Requests BEGIN
	UPDATE Totals SET builds = builds - 1, layers = layers - old.layers,
		duration = duration - coalesce(old.build_duration, 0);
	UPDATE Users SET n = n - 1 WHERE ip_addr = old.ip_addr;
	DELETE FROM Users WHERE ip_addr = old.ip_addr AND n = 0;
	UPDATE Hashes SET n = n - 1 WHERE hash = old.hash;
	DELETE FROM Hashes WHERE hash = old.hash AND n = 0;
	UPDATE Counts SET n = n - 1 WHERE (what, name) IN (VALUES ('os', old.os),
		('platform', iif(old.web, 'Web', 'Desktop')),
		('keyboard', old.board || '-' || old.variant),
		('container', old.container));
	DELETE FROM Counts WHERE n = 0;
END;
-- A row says what was; changing it would leave the totals behind.
CREATE TRIGGER IF NOT EXISTS Requests_update BEFORE UPDATE ON Requests BEGIN
	SELECT RAISE(ABORT, 'requests are never changed');
END;
