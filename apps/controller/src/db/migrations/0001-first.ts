import type { MigrationInterface, QueryRunner } from 'typeorm'

/** Every tenant table carries `team_id NOT NULL`; ids are UUIDv7, times `timestamptz`. */
const STATEMENTS = [
  `CREATE TABLE team (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT team_name_key UNIQUE (name)
  )`,
  `CREATE TABLE token (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    team_id uuid NOT NULL REFERENCES team (id),
    role text NOT NULL,
    sha256 text NOT NULL,
    description text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz,
    CONSTRAINT token_sha256_key UNIQUE (sha256)
  )`,
  `CREATE TABLE app (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    team_id uuid NOT NULL REFERENCES team (id),
    name text NOT NULL,
    repository_id uuid NOT NULL,
    settings jsonb NOT NULL DEFAULT '{}',
    data_key jsonb NOT NULL,
    current_release integer,
    created_at timestamptz NOT NULL DEFAULT now(),
    destroyed_at timestamptz
  )`,
  `CREATE UNIQUE INDEX app_live_name_key ON app (name) WHERE destroyed_at IS NULL`,
  `CREATE TABLE config_var (
    app_id uuid NOT NULL REFERENCES app (id),
    name text NOT NULL,
    team_id uuid NOT NULL REFERENCES team (id),
    value jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (app_id, name)
  )`,
  `CREATE TABLE formation (
    app_id uuid NOT NULL REFERENCES app (id),
    type text NOT NULL,
    team_id uuid NOT NULL REFERENCES team (id),
    quantity integer NOT NULL,
    limits jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (app_id, type)
  )`,
  `CREATE TABLE push (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    team_id uuid NOT NULL REFERENCES team (id),
    app_id uuid NOT NULL REFERENCES app (id),
    state text NOT NULL,
    ref text NOT NULL,
    old_value text NOT NULL,
    new_value text NOT NULL,
    author text NOT NULL,
    reason text,
    message text,
    is_detached boolean NOT NULL DEFAULT false,
    options jsonb NOT NULL,
    release_version integer,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
  )`,
  `CREATE INDEX push_app_id_idx ON push (app_id)`,
  `CREATE TABLE build (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    team_id uuid NOT NULL REFERENCES team (id),
    app_id uuid NOT NULL REFERENCES app (id),
    push_id uuid REFERENCES push (id),
    state text NOT NULL,
    phase text NOT NULL DEFAULT '',
    reason text,
    message text,
    suggestion text,
    commit text NOT NULL,
    tree text NOT NULL,
    stack text NOT NULL,
    is_clean boolean NOT NULL DEFAULT false,
    attempt integer NOT NULL,
    lease_until timestamptz,
    instance_id uuid,
    image text,
    result jsonb,
    created_at timestamptz NOT NULL DEFAULT now(),
    started_at timestamptz,
    ended_at timestamptz
  )`,
  `CREATE INDEX build_app_id_idx ON build (app_id)`,
  `CREATE INDEX build_open_idx ON build (created_at) WHERE state IN ('queued','running')`,
  `CREATE TABLE release (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    team_id uuid NOT NULL REFERENCES team (id),
    app_id uuid NOT NULL REFERENCES app (id),
    version integer NOT NULL,
    image text,
    process_types jsonb NOT NULL,
    config jsonb NOT NULL,
    checks jsonb NOT NULL,
    formation jsonb NOT NULL,
    commit text,
    description text NOT NULL,
    author text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT release_app_id_version_key UNIQUE (app_id, version)
  )`,
  `CREATE TABLE deployment (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    team_id uuid NOT NULL REFERENCES team (id),
    app_id uuid NOT NULL REFERENCES app (id),
    release_id uuid NOT NULL REFERENCES release (id),
    release_version integer NOT NULL,
    previous_version integer,
    push_id uuid REFERENCES push (id),
    state text NOT NULL,
    reason text,
    message text,
    routed_revision bigint,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    ended_at timestamptz
  )`,
  `CREATE INDEX deployment_app_id_idx ON deployment (app_id)`,
  `CREATE UNIQUE INDEX deployment_one_active_key ON deployment (app_id) WHERE state IN ('pending','releasing','rolling','reverting')`,
  `CREATE TABLE node (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    name text NOT NULL,
    boot_id text NOT NULL,
    network text NOT NULL,
    capacity jsonb NOT NULL,
    status_hash text NOT NULL,
    applied_epoch text,
    applied_revision bigint NOT NULL DEFAULT 0,
    last_report_at timestamptz,
    cordoned_at timestamptz,
    drain_started_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT node_name_key UNIQUE (name)
  )`,
  `CREATE TABLE instance (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    team_id uuid NOT NULL REFERENCES team (id),
    app_id uuid NOT NULL REFERENCES app (id),
    kind text NOT NULL,
    type text NOT NULL,
    slot integer NOT NULL,
    release_id uuid REFERENCES release (id),
    release_version integer,
    build_id uuid REFERENCES build (id),
    node_id uuid REFERENCES node (id),
    placement_error text,
    intent text NOT NULL,
    limits jsonb NOT NULL,
    drain_revision bigint,
    drain_started_at timestamptz,
    created_at timestamptz NOT NULL DEFAULT now(),
    gone_at timestamptz
  )`,
  `CREATE INDEX instance_app_id_idx ON instance (app_id)`,
  `CREATE INDEX instance_live_idx ON instance (node_id) WHERE gone_at IS NULL`,
  `CREATE TABLE instance_status (
    instance_id uuid NOT NULL REFERENCES instance (id),
    node_id uuid NOT NULL REFERENCES node (id),
    boot_id text NOT NULL,
    observed text NOT NULL,
    status jsonb NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (instance_id)
  )`,
  `CREATE INDEX instance_status_node_id_idx ON instance_status (node_id)`,
  `CREATE TABLE router (
    id text NOT NULL,
    epoch text,
    applied_revision bigint NOT NULL DEFAULT 0,
    busy_instances jsonb NOT NULL,
    last_poll_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id)
  )`,
  `CREATE TABLE domain (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    team_id uuid NOT NULL REFERENCES team (id),
    app_id uuid NOT NULL REFERENCES app (id),
    name text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT domain_name_key UNIQUE (name)
  )`,
  `CREATE TABLE route (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    team_id uuid NOT NULL REFERENCES team (id),
    app_id uuid NOT NULL REFERENCES app (id),
    host text NOT NULL,
    path_prefix text NOT NULL DEFAULT '/',
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT route_host_path_prefix_key UNIQUE (host, path_prefix)
  )`,
  `CREATE TABLE setting (
    key text NOT NULL,
    value jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (key)
  )`,
  `CREATE TABLE event (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    team_id uuid NOT NULL REFERENCES team (id),
    app_id uuid REFERENCES app (id),
    kind text NOT NULL,
    message text NOT NULL,
    actor text NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
  )`,
  `CREATE INDEX event_app_id_idx ON event (app_id)`,
  `CREATE TABLE revision (
    name text NOT NULL,
    value bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (name)
  )`,
  `CREATE TABLE leader (
    name text NOT NULL,
    term bigint NOT NULL DEFAULT 0,
    holder text NOT NULL,
    expires_at timestamptz NOT NULL,
    PRIMARY KEY (name)
  )`,
]

/** The schema of the first release. */
export class First1732180000000 implements MigrationInterface {
  name = 'First1732180000000'

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of STATEMENTS) await queryRunner.query(statement)
  }

  async down(): Promise<void> {
    throw new Error('the first migration cannot be undone: restore a backup instead')
  }
}
