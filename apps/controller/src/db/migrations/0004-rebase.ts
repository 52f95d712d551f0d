import type { MigrationInterface, QueryRunner } from 'typeorm'

const STATEMENTS = [`ALTER TABLE build ADD COLUMN rebased_from text`]

/** Builds that only change the base image. */
export class Rebase1764130000000 implements MigrationInterface {
  name = 'Rebase1764130000000'

  async up(queryRunner: QueryRunner): Promise<void> {
    for (const statement of STATEMENTS) await queryRunner.query(statement)
  }

  async down(): Promise<void> {
    throw new Error('restore a backup instead')
  }
}
