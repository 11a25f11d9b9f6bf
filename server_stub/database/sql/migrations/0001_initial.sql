-- Instants are fixed-width RFC 3339 text in UTC, so that text order is time order in both databases; documents are JSON text.
-- The same statements serve SQLite and PostgreSQL.

CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);

CREATE TABLE users (
    dialect TEXT NOT NULL, id TEXT NOT NULL, login TEXT NOT NULL,
    failures INTEGER NOT NULL DEFAULT 0, blocks INTEGER NOT NULL DEFAULT 0, blocked_until TEXT, blocked_permanently INTEGER NOT NULL DEFAULT 0,
    document TEXT NOT NULL, PRIMARY KEY (dialect, id)
);
CREATE UNIQUE INDEX users_login ON users (dialect, login);

CREATE TABLE sessions (
    id TEXT PRIMARY KEY, dialect TEXT NOT NULL, user_id TEXT NOT NULL, created_at TEXT NOT NULL, last_active_at TEXT NOT NULL,
    ended_at TEXT, document TEXT NOT NULL
);
CREATE INDEX sessions_user ON sessions (dialect, user_id);

CREATE TABLE tokens (
    digest TEXT PRIMARY KEY, kind TEXT NOT NULL, session_id TEXT NOT NULL, issued_at TEXT NOT NULL, expires_at TEXT, ended_at TEXT,
    document TEXT NOT NULL DEFAULT '{}'
);
CREATE INDEX tokens_session ON tokens (session_id, kind);

CREATE TABLE transactions (
    id TEXT PRIMARY KEY, seq BIGINT NOT NULL, dialect TEXT NOT NULL, kind TEXT NOT NULL, user_id TEXT NOT NULL, session_id TEXT NOT NULL,
    state TEXT NOT NULL, payload TEXT NOT NULL, digest TEXT NOT NULL, methods TEXT NOT NULL, created_at TEXT NOT NULL, expires_at TEXT NOT NULL,
    attempts INTEGER NOT NULL DEFAULT 0, outcome TEXT, assertion TEXT, document TEXT NOT NULL DEFAULT '{}'
);
CREATE INDEX transactions_user ON transactions (dialect, user_id, seq);
CREATE INDEX transactions_seq ON transactions (seq);
CREATE INDEX transactions_open ON transactions (dialect, user_id, state);

CREATE TABLE nonces (value TEXT PRIMARY KEY, transaction_id TEXT NOT NULL, issued_at TEXT NOT NULL, expires_at TEXT NOT NULL, consumed_at TEXT);
CREATE INDEX nonces_transaction ON nonces (transaction_id);

CREATE TABLE verdicts (
    transaction_id TEXT NOT NULL, attempt INTEGER NOT NULL, accepted INTEGER NOT NULL, decided_at TEXT NOT NULL, log_seq BIGINT NOT NULL,
    policy TEXT NOT NULL, trust TEXT NOT NULL, evidence TEXT NOT NULL, findings TEXT NOT NULL, PRIMARY KEY (transaction_id, attempt)
);

CREATE TABLE devices (
    id TEXT PRIMARY KEY, dialect TEXT NOT NULL, user_id TEXT NOT NULL, token_digest TEXT NOT NULL, state TEXT NOT NULL, enrolled_at TEXT NOT NULL,
    state_since TEXT NOT NULL, document TEXT NOT NULL
);
CREATE INDEX devices_user ON devices (dialect, user_id);
CREATE UNIQUE INDEX devices_token ON devices (token_digest);

CREATE TABLE credentials (
    id TEXT PRIMARY KEY, key_fingerprint TEXT NOT NULL, device_id TEXT NOT NULL, dialect TEXT NOT NULL, user_id TEXT NOT NULL, factor TEXT NOT NULL,
    sign_count BIGINT NOT NULL, app_attest_count BIGINT NOT NULL DEFAULT 0, facts TEXT NOT NULL
);
CREATE INDEX credentials_device ON credentials (device_id);
CREATE INDEX credentials_key ON credentials (key_fingerprint);

CREATE TABLE enrolments (
    id TEXT PRIMARY KEY, dialect TEXT NOT NULL, user_id TEXT NOT NULL, session_id TEXT NOT NULL, state TEXT NOT NULL, created_at TEXT NOT NULL,
    expires_at TEXT NOT NULL, document TEXT NOT NULL
);

CREATE TABLE messages (
    seq BIGINT PRIMARY KEY, channel TEXT NOT NULL, recipient TEXT NOT NULL, sender TEXT NOT NULL, text TEXT NOT NULL, code TEXT, sent_at TEXT NOT NULL,
    document TEXT NOT NULL DEFAULT '{}'
);
CREATE INDEX messages_recipient ON messages (recipient, seq);

CREATE TABLE log (
    seq BIGINT PRIMARY KEY, at TEXT NOT NULL, event TEXT NOT NULL, dialect TEXT NOT NULL, user_id TEXT NOT NULL, session_id TEXT NOT NULL,
    transaction_id TEXT NOT NULL, entry TEXT NOT NULL
);
CREATE INDEX log_transaction ON log (transaction_id, seq);
CREATE INDEX log_user ON log (dialect, user_id, seq);
CREATE INDEX log_session ON log (session_id, seq);
CREATE INDEX log_event ON log (dialect, event, seq);

CREATE TABLE idempotency (key TEXT PRIMARY KEY, created_at TEXT NOT NULL, status INTEGER NOT NULL, document TEXT NOT NULL);

CREATE TABLE payments (
    id TEXT PRIMARY KEY, dialect TEXT NOT NULL, user_id TEXT NOT NULL, transaction_id TEXT NOT NULL UNIQUE, created_at TEXT NOT NULL, document TEXT NOT NULL
);
CREATE INDEX payments_user ON payments (dialect, user_id);

CREATE TABLE records (
    kind TEXT NOT NULL, id TEXT NOT NULL, owner TEXT NOT NULL, seq BIGINT NOT NULL, document TEXT NOT NULL, PRIMARY KEY (kind, id)
);
CREATE INDEX records_owner ON records (kind, owner, seq);

CREATE TABLE webhooks (
    seq BIGINT PRIMARY KEY, url TEXT NOT NULL, path TEXT NOT NULL, headers TEXT NOT NULL, body TEXT NOT NULL, state TEXT NOT NULL, attempts INTEGER NOT NULL,
    next_at TEXT NOT NULL, history TEXT NOT NULL
);
CREATE INDEX webhooks_due ON webhooks (state, next_at);
