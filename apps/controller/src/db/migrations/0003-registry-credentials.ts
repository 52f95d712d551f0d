import type { MigrationInterface, QueryRunner } from 'typeorm'

const STATEMENTS = [
  `CREATE TABLE registry_credential (
    team_id uuid NOT NULL REFERENCES team (id),
    host text NOT NULL,
    username text NOT NULL,
    password jsonb NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (team_id, host)
  )`,
]

/** What teams pull from foreign registries with. */
export class RegistryCredentials1764110000000 implements MigrationInterface {
  name = 'RegistryCredentials1764110000000'

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of STATEMENTS) await queryRunner.query(statement)
  }

  async down(): Promise<void> {
    throw new Error('restore a backup instead')
  }
}
