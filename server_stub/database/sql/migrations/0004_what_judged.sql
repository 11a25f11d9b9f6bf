-- By what a verdict was reached is kept with it: contents once for each digest. Earlier verdicts have a digest under which nothing was
-- kept, and read "not recorded".

CREATE TABLE contents (digest TEXT PRIMARY KEY, content TEXT NOT NULL);
ALTER TABLE verdicts RENAME COLUMN trust TO grounds;

CREATE TABLE evidence_key (name TEXT PRIMARY KEY, secret TEXT NOT NULL);

-- The log is searched by what its entries say, which their hashes cover: the columns beside an entry are for people, and decide nothing.
DROP INDEX log_transaction;
DROP INDEX log_user;
DROP INDEX log_session;
DROP INDEX log_attempts;
CREATE INDEX log_user ON log ((entry ->> 'user'), seq);
CREATE INDEX log_attempts ON log ((entry ->> 'dialect'), seq) WHERE (entry ->> 'event') = 'sca_attempt';
