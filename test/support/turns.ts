import { rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'

/** Says to `take-turn.ts` where to ask for a turn. */
export const TURNS = 'CROFT_TEST_TURNS'

/**
 * Specs of the system that mostly wait, for a controller, for PostgreSQL, for a scripted node, and one of containers: two such files run
 * side by side. All others have the machine to themselves, as platforms, builds and what is measured need it.
 */
const SIDE_BY_SIDE = [
  'build-queue',
  'container-api',
  'controller-api',
  'controller-config',
  'controller-deploy',
  'controller-logs',
  'controller-nodes',
  'controller-schema',
  'image-deploy',
  'push',
  'push-durability',
  'push-refused',
  'push-stacks',
  'registry',
  'router',
]

/** Whether the spec runs beside another one that does. */
export function runsSideBySide(file: string): boolean {
  return SIDE_BY_SIDE.some((name) => file.endsWith(`/test/system/${name}.spec.ts`))
}

/**
 * Gives turns on a unix socket: whoever connects says `shared` or `alone`, is told `go` when its turn has come, and has it until the
 * connection ends, with its process at the latest. Turns come in the order in which they were asked for.
 */
export async function giveTurns(path: string): Promise<() => void> {
  const waiting: { socket: Socket; isAlone: boolean }[] = []
  const running = new Set<{ socket: Socket; isAlone: boolean }>()
  const next = (): void => {
    for (let [first] = waiting; first !== undefined; [first] = waiting) {
      const isFree = running.size === 0 || (!first.isAlone && [...running].every(({ isAlone }) => !isAlone))
      if (!isFree) return
      waiting.shift()
      running.add(first)
      first.socket.write('go')
    }
  }
  const server = createServer((socket) => {
    const turn = { socket, isAlone: true }
    socket.on('error', () => undefined) // its end tells as much
    socket.once('data', (said) => {
      turn.isAlone = said.toString() !== 'shared'
      waiting.push(turn)
      next()
    })
    socket.once('close', () => {
      running.delete(turn)
      if (waiting.includes(turn)) waiting.splice(waiting.indexOf(turn), 1)
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
