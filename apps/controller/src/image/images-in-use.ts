import type { DataSource } from 'typeorm'
import { ROLLBACK_RELEASES } from '../release/kept-releases.js'

/**
 * The images of an app's repository that the database refers to: of releases that serve, roll, still run or may be rolled back to, of
 * the builds the next one goes on from, and the builder and run images those used.
 */
export async function imagesInUse(dataSource: Pick<DataSource, 'query'>, appId: string): Promise<Set<string>> {
  const rows = await dataSource.query<{ image: string }[]>(
    `WITH live AS (SELECT id, current_release FROM app WHERE id = $1 AND destroyed_at IS NULL),
       served AS (
         SELECT DISTINCT d.release_version AS version FROM deployment d JOIN live ON live.id = d.app_id
         WHERE d.state = 'succeeded' ORDER BY version DESC LIMIT $2)
     SELECT r.image FROM release r JOIN live ON live.id = r.app_id
       WHERE r.version = live.current_release OR r.version IN (SELECT version FROM served)
         OR r.created_at > now() - interval '1 day'
     UNION SELECT r.image FROM release r JOIN deployment d ON d.release_id = r.id
       WHERE r.app_id = $1 AND d.ended_at IS NULL
     UNION SELECT r.image FROM release r JOIN instance i ON i.release_id = r.id
       WHERE r.app_id = $1 AND i.gone_at IS NULL
     UNION (SELECT b.image FROM build b JOIN live ON live.id = b.app_id
       WHERE b.image IS NOT NULL AND b.state = 'succeeded' ORDER BY b.ended_at DESC LIMIT 3)
     UNION (SELECT used.image FROM build b JOIN live ON live.id = b.app_id,
         LATERAL (VALUES (b.result->'builderImage'->>'digest'),
                         (b.result->'builderImage'->'runImage'->>'digest')) AS used(image)
       WHERE b.state = 'succeeded' AND used.image IS NOT NULL ORDER BY b.ended_at DESC LIMIT 4)`,
    [appId, ROLLBACK_RELEASES],
  )
  return new Set(rows.map(({ image }) => image))
}
