-- name: get_setting
SELECT value FROM settings WHERE name = :name;
-- name: put_setting
INSERT INTO settings (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = excluded.value;
-- name: next_seq
INSERT INTO settings (name, value) VALUES ('seq', '1') ON CONFLICT (name) DO UPDATE SET value = CAST(CAST(settings.value AS BIGINT) + 1 AS TEXT) RETURNING value;

-- name: get_user
SELECT dialect, id, login, failures, blocks, blocked_until, blocked_permanently, document FROM users WHERE dialect = :dialect AND id = :id;
-- name: find_user
SELECT dialect, id, login, failures, blocks, blocked_until, blocked_permanently, document FROM users WHERE dialect = :dialect AND login = :login;
-- name: list_users
SELECT dialect, id, login, failures, blocks, blocked_until, blocked_permanently, document FROM users ORDER BY dialect, id;
-- name: put_user
INSERT INTO users (dialect, id, login, failures, blocks, blocked_until, blocked_permanently, document)
VALUES (:dialect, :id, :login, :failures, :blocks, :blocked_until, :blocked_permanently, :document)
ON CONFLICT (dialect, id) DO UPDATE SET login = excluded.login, failures = excluded.failures, blocks = excluded.blocks,
blocked_until = excluded.blocked_until, blocked_permanently = excluded.blocked_permanently, document = excluded.document;

-- name: get_session
SELECT id, dialect, user_id, created_at, last_active_at, ended_at, document FROM sessions WHERE id = :id;
-- name: sessions_of_user
SELECT id, dialect, user_id, created_at, last_active_at, ended_at, document FROM sessions WHERE dialect = :dialect AND user_id = :user ORDER BY created_at;
-- name: put_session
INSERT INTO sessions (id, dialect, user_id, created_at, last_active_at, ended_at, document)
VALUES (:id, :dialect, :user, :created_at, :last_active_at, :ended_at, :document)
ON CONFLICT (id) DO UPDATE SET last_active_at = excluded.last_active_at, ended_at = excluded.ended_at, document = excluded.document;
-- name: touch_session
UPDATE sessions SET last_active_at = :at WHERE id = :id;

-- name: get_token
SELECT digest, kind, session_id, issued_at, expires_at, ended_at, document FROM tokens WHERE digest = :digest;
-- name: put_token
INSERT INTO tokens (digest, kind, session_id, issued_at, expires_at, ended_at, document)
VALUES (:digest, :kind, :session_id, :issued_at, :expires_at, :ended_at, :document)
ON CONFLICT (digest) DO UPDATE SET expires_at = excluded.expires_at, ended_at = excluded.ended_at, document = excluded.document;
-- name: end_tokens
UPDATE tokens SET ended_at = :at WHERE session_id = :session AND ended_at IS NULL;
-- name: tokens_of_session
SELECT digest, kind, session_id, issued_at, expires_at, ended_at, document FROM tokens WHERE session_id = :session AND kind = :kind;

-- name: get_transaction
SELECT id, seq, dialect, kind, user_id, session_id, state, payload, digest, methods, created_at, expires_at, attempts, outcome, assertion, document
FROM transactions WHERE id = :id;
-- name: list_transactions
SELECT id, seq, dialect, kind, user_id, session_id, state, payload, digest, methods, created_at, expires_at, attempts, outcome, assertion, document
FROM transactions WHERE (:dialect = '' OR dialect = :dialect) AND (:user = '' OR user_id = :user) ORDER BY seq DESC LIMIT :most;
-- name: open_transactions
SELECT id, seq, dialect, kind, user_id, session_id, state, payload, digest, methods, created_at, expires_at, attempts, outcome, assertion, document
FROM transactions WHERE dialect = :dialect AND user_id = :user AND state IN ('ISSUED', 'VERIFIED') AND state = 'ISSUED' ORDER BY seq;
-- name: insert_transaction
INSERT INTO transactions (id, seq, dialect, kind, user_id, session_id, state, payload, digest, methods, created_at, expires_at, attempts, outcome, assertion, document)
VALUES (:id, :seq, :dialect, :kind, :user, :session, :state, :payload, :digest, :methods, :created_at, :expires_at, :attempts, :outcome, :assertion, :document);
-- name: update_transaction
UPDATE transactions SET state = :state, expires_at = :expires_at, attempts = :attempts, outcome = :outcome, assertion = :assertion, document = :document
WHERE id = :id;
-- name: void_open_transactions
UPDATE transactions SET state = 'VOID' WHERE dialect = :dialect AND user_id = :user AND state IN ('ISSUED', 'VERIFIED');

-- name: get_nonce
SELECT value, transaction_id, issued_at, expires_at, consumed_at FROM nonces WHERE value = :value;
-- name: insert_nonce
INSERT INTO nonces (value, transaction_id, issued_at, expires_at) VALUES (:value, :transaction, :issued_at, :expires_at);
-- name: consume_nonce
UPDATE nonces SET consumed_at = :at WHERE value = :value AND consumed_at IS NULL;

-- name: insert_verdict
INSERT INTO verdicts (transaction_id, attempt, accepted, decided_at, log_seq, policy, grounds, evidence, findings, at_door)
VALUES (:transaction, :attempt, :accepted, :decided_at, :log_seq, :policy, :grounds, :evidence, :findings, :at_door);
-- name: get_verdict
SELECT transaction_id, attempt, accepted, decided_at, log_seq, policy, grounds, evidence, findings FROM verdicts
WHERE transaction_id = :transaction AND attempt = :attempt;
-- name: last_attempt
SELECT MAX(attempt) FROM verdicts WHERE transaction_id = :transaction;
-- name: shown_attempt
SELECT attempt, accepted FROM verdicts WHERE transaction_id = :transaction AND at_door = 0 ORDER BY attempt DESC LIMIT 1;

-- name: keep_content
INSERT INTO contents (digest, content) VALUES (:digest, :content) ON CONFLICT (digest) DO NOTHING;
-- name: has_content
SELECT 1 FROM contents WHERE digest = :digest;
-- name: get_content
SELECT content FROM contents WHERE digest = :digest;

-- name: get_device
SELECT id, dialect, user_id, token_digest, state, enrolled_at, state_since, document FROM devices WHERE id = :id;
-- name: find_device
SELECT id, dialect, user_id, token_digest, state, enrolled_at, state_since, document FROM devices WHERE token_digest = :digest;
-- name: devices_of_user
SELECT id, dialect, user_id, token_digest, state, enrolled_at, state_since, document FROM devices WHERE dialect = :dialect AND user_id = :user ORDER BY enrolled_at, id;
-- name: put_device
INSERT INTO devices (id, dialect, user_id, token_digest, state, enrolled_at, state_since, document)
VALUES (:id, :dialect, :user, :token_digest, :state, :enrolled_at, :state_since, :document)
ON CONFLICT (id) DO UPDATE SET state = excluded.state, state_since = excluded.state_since, document = excluded.document;

-- name: get_credential
SELECT id, sign_count, app_attest_count, facts, COALESCE(highest, 0), shared_key FROM credentials
JOIN counters ON credential_id = id LEFT JOIN app_attest_counters kept ON kept.app_key = credentials.app_key WHERE id = :id;
-- name: credentials_of_device
SELECT id, sign_count, app_attest_count, facts, COALESCE(highest, 0), shared_key FROM credentials
JOIN counters ON credential_id = id LEFT JOIN app_attest_counters kept ON kept.app_key = credentials.app_key WHERE device_id = :device ORDER BY factor DESC, id;
-- name: credentials_by_key
SELECT id, sign_count, app_attest_count, facts, COALESCE(highest, 0), shared_key FROM credentials
JOIN counters ON credential_id = id LEFT JOIN app_attest_counters kept ON kept.app_key = credentials.app_key WHERE key_fingerprint = :fingerprint;
-- name: insert_credential
INSERT INTO credentials (id, key_fingerprint, device_id, dialect, user_id, factor, facts, app_key)
VALUES (:id, :fingerprint, :device, :dialect, :user, :factor, :facts, :app_key);
-- name: keep_former_credential
INSERT INTO former_credentials SELECT id, device_id, facts FROM credentials WHERE id = :id;
-- name: remove_counters
DELETE FROM counters WHERE credential_id = :id;
-- name: remove_credential
DELETE FROM credentials WHERE id = :id;
-- name: registration_facts
SELECT facts, shared_key FROM credentials WHERE id = :id AND device_id = :device
UNION ALL SELECT facts, 0 FROM former_credentials WHERE id = :id AND device_id = :device;
-- name: insert_counters
INSERT INTO counters (credential_id, sign_count, app_attest_count) VALUES (:id, :sign_count, :app_attest_count);
-- name: update_credential
UPDATE credentials SET facts = :facts WHERE id = :id;
-- name: update_counters
UPDATE counters SET sign_count = :sign_count, app_attest_count = :app_attest_count WHERE credential_id = :id;
-- name: raise_app_counter
UPDATE app_attest_counters SET highest = :count WHERE app_key = (SELECT app_key FROM credentials WHERE id = :id) AND highest < :count;
-- name: start_app_counter
INSERT INTO app_attest_counters (app_key, highest) VALUES (:app_key, 0) ON CONFLICT (app_key) DO UPDATE SET highest = 0;
-- name: others_with_app_key
SELECT COUNT(*) FROM credentials WHERE app_key = :app_key AND NOT (dialect = :dialect AND user_id = :user);

-- name: get_enrolment
SELECT id, dialect, user_id, session_id, state, created_at, expires_at, document FROM enrolments WHERE id = :id;
-- name: put_enrolment
INSERT INTO enrolments (id, dialect, user_id, session_id, state, created_at, expires_at, document)
VALUES (:id, :dialect, :user, :session, :state, :created_at, :expires_at, :document)
ON CONFLICT (id) DO UPDATE SET state = excluded.state, document = excluded.document;

-- name: insert_message
INSERT INTO messages (seq, channel, recipient, sender, text, code, sent_at, document)
VALUES (:seq, :channel, :recipient, :sender, :text, :code, :sent_at, :document);
-- name: list_messages
SELECT seq, channel, recipient, sender, text, code, sent_at, document FROM messages
WHERE (:channel = '' OR channel = :channel) AND (:recipient = '' OR recipient = :recipient) AND seq > :after ORDER BY seq LIMIT :most;
-- name: last_message_seq
SELECT MAX(seq) FROM messages;

-- name: log_head
SELECT seq, entry FROM log ORDER BY seq DESC LIMIT 1;
-- name: insert_log
INSERT INTO log (seq, at, event, dialect, user_id, session_id, transaction_id, entry)
VALUES (:seq, :at, :event, :dialect, :user, :session, :transaction, :entry);
-- name: log_after
SELECT seq, entry FROM log WHERE seq > :after ORDER BY seq LIMIT :most;
-- name: log_rows_after
SELECT seq, entry, at, event, dialect, user_id, session_id, transaction_id FROM log WHERE seq > :after ORDER BY seq LIMIT :most;
-- name: log_of_user
SELECT seq, entry FROM log WHERE (entry ->> 'user') = :user AND (entry ->> 'dialect') = :dialect AND seq BETWEEN 1 AND :up_to ORDER BY seq;

-- name: get_idempotent
SELECT created_at, status, document FROM idempotency WHERE key = :key;
-- name: put_idempotent
INSERT INTO idempotency (key, created_at, status, document) VALUES (:key, :created_at, :status, :document)
ON CONFLICT (key) DO UPDATE SET created_at = excluded.created_at, status = excluded.status, document = excluded.document;

-- name: insert_payment
INSERT INTO payments (id, dialect, user_id, transaction_id, created_at, document) VALUES (:id, :dialect, :user, :transaction, :created_at, :document);
-- name: payments_of_user
SELECT id, transaction_id, created_at, document FROM payments WHERE dialect = :dialect AND user_id = :user ORDER BY created_at, id;
-- name: payment_of_transaction
SELECT id, transaction_id, created_at, document FROM payments WHERE transaction_id = :transaction;

-- name: get_record
SELECT id, owner, document FROM records WHERE kind = :kind AND id = :id;
-- name: records_of_owner
SELECT id, owner, document FROM records WHERE kind = :kind AND owner = :owner ORDER BY seq;
-- name: put_record
INSERT INTO records (kind, id, owner, seq, document) VALUES (:kind, :id, :owner, :seq, :document)
ON CONFLICT (kind, id) DO UPDATE SET owner = excluded.owner, document = excluded.document;
-- name: trim_records
DELETE FROM records WHERE kind = :kind AND id IN
(SELECT id FROM records WHERE kind = :kind AND owner = :owner ORDER BY seq DESC LIMIT 100 OFFSET :most);
-- name: delete_record
DELETE FROM records WHERE kind = :kind AND id = :id;

-- name: insert_webhook
INSERT INTO webhooks (seq, url, path, headers, body, state, attempts, next_at, history)
VALUES (:seq, :url, :path, :headers, :body, 'waiting', 0, :next_at, '[]');
-- name: waiting_receivers
SELECT url, MIN(seq) FROM webhooks WHERE state = 'waiting' GROUP BY url ORDER BY MIN(seq);
-- name: waiting_webhooks
SELECT seq, url, path, headers, body, state, attempts, next_at, history FROM webhooks WHERE state = 'waiting' AND url = :url ORDER BY seq LIMIT :most;
-- name: list_webhooks
SELECT seq, url, path, headers, body, state, attempts, next_at, history FROM webhooks ORDER BY seq DESC LIMIT :most;
-- name: update_webhook
UPDATE webhooks SET state = :state, attempts = :attempts, next_at = :next_at, history = :history, body = :body WHERE seq = :seq;

-- name: clear_users
DELETE FROM users;
-- name: clear_sessions
DELETE FROM sessions;
-- name: clear_tokens
DELETE FROM tokens;
-- name: clear_transactions
DELETE FROM transactions;
-- name: clear_nonces
DELETE FROM nonces;
-- name: clear_verdicts
DELETE FROM verdicts;
-- name: clear_devices
DELETE FROM devices;
-- name: clear_credentials
DELETE FROM credentials;
-- name: clear_counters
DELETE FROM counters;
-- name: clear_app_attest_counters
DELETE FROM app_attest_counters;
-- name: clear_former_credentials
DELETE FROM former_credentials;
-- name: clear_enrolments
DELETE FROM enrolments;
-- name: clear_messages
DELETE FROM messages;
-- name: clear_log
DELETE FROM log;
-- name: clear_idempotency
DELETE FROM idempotency;
-- name: clear_payments
DELETE FROM payments;
-- name: clear_records
DELETE FROM records;
-- name: clear_webhooks
DELETE FROM webhooks;
-- name: clear_settings
DELETE FROM settings WHERE name <> 'clock';

-- name: users_of_key
SELECT COUNT(DISTINCT dialect || ' ' || user_id) FROM credentials WHERE key_fingerprint = (SELECT key_fingerprint FROM credentials WHERE id = :credential);
-- name: nonce_count
SELECT COUNT(*) FROM nonces WHERE value = :value;
-- name: failed_attempts
SELECT seq, entry FROM log WHERE (entry ->> 'dialect') = :dialect AND (entry ->> 'event') = 'sca_attempt' AND seq BETWEEN 1 AND :up_to ORDER BY seq DESC LIMIT 500;

-- name: verdict_of_attempt
SELECT accepted, log_seq, findings FROM verdicts WHERE transaction_id = :transaction AND attempt = :attempt;
-- name: verdicts_up_to
SELECT COUNT(*) FROM verdicts WHERE log_seq <= :seq;
-- name: verdict_beyond
SELECT transaction_id, attempt, log_seq FROM verdicts WHERE log_seq > :seq OR log_seq < 1 LIMIT 1;

-- name: get_evidence_key
SELECT secret FROM evidence_key WHERE name = 'bundles';
-- name: put_evidence_key
INSERT INTO evidence_key (name, secret) VALUES ('bundles', :secret) ON CONFLICT (name) DO NOTHING;
