-- Counters belong to keys: an App Attest key has one, whichever credential it accompanies; one that was kept twice takes the higher. Rows of
-- before know their App Attest key only as that of their device, whose credentials share it.

ALTER TABLE credentials ADD COLUMN app_key TEXT;
UPDATE credentials SET app_key = 'device ' || device_id WHERE facts LIKE '%"keyId":"%' OR id IN (SELECT credential_id FROM counters WHERE app_attest_count > 0);
CREATE INDEX credentials_app_key ON credentials (app_key) WHERE app_key IS NOT NULL;
CREATE TABLE app_attest_counters (app_key TEXT PRIMARY KEY, highest BIGINT NOT NULL);
INSERT INTO app_attest_counters SELECT app_key, MAX(app_attest_count) FROM credentials JOIN counters ON credential_id = id WHERE app_key IS NOT NULL GROUP BY app_key;

-- A key is one factor of one device. Keys that were enrolled more than once before that was refused stay, marked.
ALTER TABLE credentials ADD COLUMN shared_key BIGINT NOT NULL DEFAULT 0;
UPDATE credentials SET shared_key = 1 WHERE key_fingerprint IN (SELECT key_fingerprint FROM credentials GROUP BY key_fingerprint HAVING COUNT(*) > 1);

-- What a credential was before the same phone enrolled it again: verdicts of then rest on the registration of then.
CREATE TABLE former_credentials (id TEXT NOT NULL, device_id TEXT NOT NULL, facts TEXT NOT NULL, PRIMARY KEY (id, device_id));
