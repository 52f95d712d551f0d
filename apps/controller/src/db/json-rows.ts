/**
 * A subquery that gives the rows of a query as one JSON array, keys as its columns are called. Statements that put several of these
 * together read them as of one moment, in one round trip.
 */
export function jsonRows(query: string): string {
  return `(SELECT coalesce(json_agg(x), '[]') FROM (${query}) x)`
}
