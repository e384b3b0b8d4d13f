"""What ssh systems need: who may have certificates issued, those that were issued with their serial numbers, and the
public keys that people gave. A certificate can't be got back from here, nor can a private key: neither was ever kept.
"""

TABLES = """
CREATE TABLE ssh_access (
  grant_id TEXT NOT NULL, system TEXT NOT NULL, until BIGINT NOT NULL, PRIMARY KEY (grant_id, system)
);
CREATE INDEX ssh_access_by_system ON ssh_access (system);

CREATE TABLE ssh_certificates (
  serial BIGINT NOT NULL PRIMARY KEY, grant_id TEXT NOT NULL, system TEXT NOT NULL, authority TEXT NOT NULL,
  fingerprint TEXT NOT NULL, issued_at BIGINT NOT NULL, expires_at BIGINT NOT NULL, revoked_at BIGINT
);
CREATE INDEX ssh_certificates_by_grant ON ssh_certificates (grant_id, system);
CREATE INDEX ssh_certificates_good ON ssh_certificates (system, expires_at) WHERE revoked_at IS NULL;
CREATE INDEX ssh_certificates_revoked ON ssh_certificates (expires_at) WHERE revoked_at IS NOT NULL;

CREATE TABLE ssh_keys (person TEXT PRIMARY KEY, line TEXT NOT NULL, kept_at BIGINT NOT NULL);
"""


def up(migrator, db):
    for statement in TABLES.strip().split(";\n"):
        db.execute_sql(statement.rstrip(";"))
