import { rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'

/** Says to `take-turn.ts` where to ask for a turn. */
export const TURNS = 'CROFT_TEST_TURNS'

/**
 * How a file of system specs has its turn. Two cores have room for two files, and a turn says beside which others:
 * - `waits`: for a controller, for PostgreSQL, for a scripted node, for a platform that starts. Beside any other that is not alone.
 * - `works`: keeps a core busy with builds or containers of a home of its own. Never beside another that works, so that what
 *   waits beside it finds a core free when its time comes.
 * - `alone`: measures (time, memory, requests that must not fail), or counts what is left of mounts, loop devices and an index
 *   that was given back, which whoever starts a mount namespace or a home just then may hold. What is not named here is alone.
 */
export type Turn = 'waits' | 'works' | 'alone'

const WAITS = [
  'build-queue',
  'controller-api',
  'controller-config',
  'controller-deploy',
  'controller-logs',
  'controller-nodes',
  'controller-schema',
  'controller-verbs',
  'controller-wire',
  'deploy-folder',
  'external-registry',
  'image-deploy',
  'platform-first-push',
  'platform-refused',
  'push',
  'push-durability',
  'push-refused',
  'push-stacks',
  'registry',
  'router',
  'router-away',
  'router-hostile',
  'up-foreground',
  'up-refused',
]

const WORKS = [
  'build',
  'build-debs',
  'build-dockerfile',
  'build-garden',
  'build-php',
  'build-python',
  'build-ruby',
  'build-stacks',
  'build-yarn-pnpm',
  'builder-image',
  'cgroup-v2',
  'container-api',
  'container-isolation',
  'container-network',
  'container-ports',
  'container-wire',
  'executor',
  'executor-garden',
  'foreign-buildpacks',
  'platform-isolation',
  'shim-program',
]

/** At most so many files run at once; one more worker than that has the next one ready. */
export const MAX_AT_ONCE = 2

/** The turn that a spec file takes. */
export function turnOf(file: string): Turn {
  const isIn = (names: string[]): boolean => names.some((name) => file.endsWith(`/test/system/${name}.spec.ts`))
  if (isIn(WAITS)) return 'waits'
  return isIn(WORKS) ? 'works' : 'alone'
}

/** Those that work and those that wait by turns, as long as there are both, and then those alone: so that most pairs are mixed. */
export function inOrderOfTurns<T>(files: readonly T[], turn: (file: T) => Turn): T[] {
  const of = (wanted: Turn): T[] => files.filter((file) => turn(file) === wanted)
  const [works, waits] = [of('works'), of('waits')]
  const pairs = Array.from({ length: Math.max(works.length, waits.length) }, (_, index) => [works[index], waits[index]])
  return [...pairs.flat().filter((file) => file !== undefined), ...of('alone')]
}

interface Asked {
  socket: Socket
  turn: Turn
}

/** Whether a file may run now, beside those that run. */
function mayRun(turn: Turn, running: readonly Turn[]): boolean {
  if (running.length === 0) return true
  if (turn === 'alone' || running.includes('alone') || running.length >= MAX_AT_ONCE) return false
  return turn === 'waits' || !running.includes('works')
}

/**
 * Gives turns on a unix socket: whoever connects says which turn, is told `go` when it has come, and has it until the connection
 * ends, with its process at the latest. Turns come in the order in which they were asked for, past those that may not run yet.
 */
export async function giveTurns(path: string): Promise<() => void> {
  const waiting: Asked[] = []
  const running = new Set<Asked>()
  const next = (): void => {
    const isNext = ({ turn }: Asked): boolean =>
      mayRun(
        turn,
        [...running].map((one) => one.turn),
      )
    for (let asked = waiting.find(isNext); asked !== undefined; asked = waiting.find(isNext)) {
      waiting.splice(waiting.indexOf(asked), 1)
      running.add(asked)
      asked.socket.write('go')
    }
  }
  const server = createServer((socket) => {
    const asked: Asked = { socket, turn: 'alone' }
    socket.on('error', () => undefined) // its end tells as much
    socket.once('data', (said) => {
      const turn = said.toString()
      if (turn === 'waits' || turn === 'works') asked.turn = turn
      waiting.push(asked)
      next()
    })
    socket.once('close', () => {
      running.delete(asked)
      if (waiting.includes(asked)) waiting.splice(waiting.indexOf(asked), 1)
      next()
    })
  })
  rmSync(path, { force: true })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(path, resolve))
  server.unref()
  return () => {
    server.close()
    rmSync(path, { force: true })
  }
}
