-- A step-up rewrites few pages: counters apart from the registration, indexes only over what is looked for.

CREATE TABLE counters (credential_id TEXT PRIMARY KEY, sign_count BIGINT NOT NULL, app_attest_count BIGINT NOT NULL);
INSERT INTO counters SELECT id, sign_count, app_attest_count FROM credentials;
ALTER TABLE credentials DROP COLUMN sign_count;
ALTER TABLE credentials DROP COLUMN app_attest_count;

DROP INDEX log_event;
CREATE INDEX log_attempts ON log (dialect, seq) WHERE event = 'sca_attempt';
DROP INDEX transactions_open;
CREATE INDEX transactions_open ON transactions (dialect, user_id) WHERE state IN ('ISSUED', 'VERIFIED');
