import { createHash } from 'node:crypto'
import { finished } from 'node:stream/promises'
import type { BuildResult, DesiredInstance } from '@croft/protocol'
import { extract } from 'tar-stream'
import type { ScriptedNode } from './scripted-node.js'
import { bytesOf } from './socket-call.js'

/** What the scripted executor makes of a build. */
export interface BuildScript {
  /** Lines it logs. */
  lines: string[]
  result: BuildResult
  /** The build goes on until this resolves. */
  until: Promise<void>
}

/** Builds of a scripted node: each fetches its source, says its lines and ends as its script says. */
export class ScriptedBuilds {
  /** Sources that were fetched, as file names. */
  readonly sources: string[][] = []
  /** Changes what the next builds do. */
  onBuild: (item: DesiredInstance) => Partial<BuildScript> = () => ({})
  #served = new Set<string>()
  #timer: NodeJS.Timeout | undefined

  constructor(private readonly node: ScriptedNode) {}

  start(): void {
    this.#timer = setInterval(() => this.#serve(), 20)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #serve(): void {
    for (const item of this.node.items.values()) {
      if (item.spec.kind !== 'build' || this.#served.has(item.id)) continue
      this.#served.add(item.id)
      this.#build(item, item.spec.buildId).catch(() => this.#served.delete(item.id)) // the controller died: once more
    }
  }

  async #build(item: DesiredInstance, buildId: string): Promise<void> {
    const socket = this.node.socketPath
    const source = await bytesOf(socket, `/v1/builds/${buildId}/source`)
    this.sources.push(await tarNames(source))
    const script: BuildScript = {
      lines: ['-----> Node.js app detected (package.json)', '-----> Exporting image'],
      until: Promise.resolve(),
      result: {
        outcome: 'succeeded',
        image: `sha256:${createHash('sha256').update(source).digest('hex')}`,
        processTypes: { web: { command: 'node server.js', argv: ['/cnb/process/web'] } },
        newLayers: 1,
        newBytes: 1,
      },
      ...this.onBuild(item),
    }
    await bytesOf(socket, `/v1/builds/${buildId}/log`, { body: `${script.lines.join('\n')}\n` })
    await script.until
    if (this.node.items.has(item.id)) {
      this.node.say(item.id, { observed: 'exited', build: script.result })
    }
  }
}

async function tarNames(tar: Buffer): Promise<string[]> {
  const names: string[] = []
  const reading = extract()
  reading.on('entry', (header, stream, next) => {
    names.push(header.name)
    stream.on('end', () => next()).resume()
  })
  reading.end(tar)
  await finished(reading)
  return names
}
