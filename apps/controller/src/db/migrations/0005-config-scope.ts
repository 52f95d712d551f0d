import type { MigrationInterface, QueryRunner } from 'typeorm'

const STATEMENTS = [`ALTER TABLE config_var ADD COLUMN scope text NOT NULL DEFAULT 'run'`]

/** Variables of builds apart from those of instances. */
export class ConfigScope1764140000000 implements MigrationInterface {
  name = 'ConfigScope1764140000000'

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of STATEMENTS) await queryRunner.query(statement)
  }

  async down(): Promise<void> {
    throw new Error('restore a backup instead')
  }
}
