import type { MigrationInterface, QueryRunner } from 'typeorm'

const STATEMENTS = [`ALTER TABLE deployment ADD COLUMN formation jsonb`]

/** What a deployment does to the formation when it succeeds. */
export class Rollback1764100000000 implements MigrationInterface {
  name = 'Rollback1764100000000'

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of STATEMENTS) await queryRunner.query(statement)
  }

  async down(): Promise<void> {
    throw new Error('restore a backup instead')
  }
}
