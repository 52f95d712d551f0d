import { FakeClock, silentLogger } from '@croft/kit'
import { describe, expect, it } from 'vitest'
import { watch, type WatchQuery } from './watch.js'

type Table = { epoch: string; revision: number; complete: true; items: string[] }
const table = (revision: number, epoch = 'a'): Table => ({ epoch, revision, complete: true, items: [`r${revision}`] })

/** Runs a watch against scripted answers and gives the queries it sent. */
async function follow(
  answers: (Table | null | Error)[],
  apply: (snapshot: Table) => Promise<void> = async () => undefined,
): Promise<WatchQuery[]> {
  const stop = new AbortController()
  const queries: WatchQuery[] = []
  const clock = new FakeClock()
  const running = watch<Table>({
    fetch: async (query) => {
      queries.push(query)
      const answer = answers.shift()
      if (answer === undefined) {
        stop.abort(new Error('end of script'))
        return null
      }
      if (answer instanceof Error) throw answer
      return answer
    },
    apply,
    clock,
    random: () => 0.5,
    logger: silentLogger,
    signal: stop.signal,
  })
  while (!stop.signal.aborted) await clock.advance(10_000)
  await running
  return queries
}

describe('watch', () => {
  it('acknowledges a revision only after it has been applied', async () => {
    let failures = 1
    const queries = await follow([table(7), table(7), null], async () => {
      failures -= 1
      if (failures === 0) throw new Error('could not apply')
    })
    expect(queries.map((query) => query.after)).toEqual([0, 0, 7, 7])
  })
  it('keeps what was applied when a poll fails, and asks again from there', async () => {
    const queries = await follow([table(3), new Error('gone'), table(5)])
    expect(queries.map((query) => query.after)).toEqual([0, 3, 3, 5])
  })
  it('follows a new epoch even when its revision goes backwards', async () => {
    const queries = await follow([table(90), table(2, 'b')])
    expect(queries.map((query) => [query.epoch, query.after])).toEqual([
      [null, 0],
      ['a', 90],
      ['b', 2],
    ])
  })
})
