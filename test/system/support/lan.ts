import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { run, start, waitFor } from '@croft/kit'
import { ip } from './backend-rig.js'

/** Another host: a network namespace beside this one, with an address of a company's private network and a public one. */
export interface Lan {
  /** Its private address. */
  target: string
  /** Its public address; nothing here is on the Internet. */
  public: string
  /** This host's address as it sees it. */
  host: string
  /** What its UDP port 9091 was told so far. */
  heard(): string[]
  /** Runs a program there and gives what it prints, or null when it fails. */
  run(command: string, ...args: string[]): Promise<string | null>
  /** Starts a program there. */
  start(command: string, ...args: string[]): ChildProcess
  close(): Promise<void>
}

const NAME = 'croft-spec-lan'
const LINK = 'croft-lan0'

/**
 * TCP 8080 and 9090 say who asks, UDP 9090 answers the same, UDP 9091 listens, and port 53 resolves every name to 203.0.113.7.
 */
const SERVER = `
const net = require('net'), dgram = require('dgram')
for (const port of [8080, 9090]) net.createServer((s) => s.on('error', () => 0).end(s.remoteAddress + ' ok')).listen(port)
const echo = dgram.createSocket('udp4').bind(9090)
echo.on('message', (_, from) => echo.send(from.address + ' ok', from.port, from.address))
dgram.createSocket('udp4').bind(9091).on('message', (told) => console.log('heard ' + told))
const dns = dgram.createSocket('udp4').bind(53)
dns.on('message', (q, from) => {
  const end = q.indexOf(0, 12) + 5, isA = q.readUInt16BE(end - 4) === 1
  const answer = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 203, 0, 113, 7])
  const head = Buffer.from([q[0], q[1], 0x81, 0x80, 0, 1, 0, isA ? 1 : 0, 0, 0, 0, 0])
  dns.send(Buffer.concat([head, q.subarray(12, end), ...(isA ? [answer] : [])]), from.port, from.address)
})
dns.on('listening', () => setImmediate(() => console.log('up')))`

export async function makeLan(): Promise<Lan> {
  const lan = { target: '10.223.7.2', public: '203.0.113.250', host: '10.223.7.1' }
  await remove()
  await ip('netns', 'add', NAME)
  await ip('link', 'add', LINK, 'type', 'veth', 'peer', 'name', 'lan1', 'netns', NAME)
  await ip('address', 'add', `${lan.host}/24`, 'dev', LINK)
  await ip('link', 'set', LINK, 'up')
  for (const address of [`${lan.target}/24`, `${lan.public}/32`])
    await ip('-n', NAME, 'address', 'add', address, 'dev', 'lan1')
  await ip('-n', NAME, 'link', 'set', 'lan1', 'up')
  await ip('route', 'add', `${lan.public}/32`, 'via', lan.target)
  const server = start('ip', ['netns', 'exec', NAME, process.execPath, '-e', SERVER], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  let said = ''
  server.stdout?.on('data', (chunk: Buffer) => (said += chunk.toString()))
  await waitFor(async () => said.includes('up'), { what: 'the other host to serve', timeoutMs: 10_000 })
  return {
    ...lan,
    heard: () => said.split('\n').flatMap((line) => (line.startsWith('heard ') ? [line.slice(6)] : [])),
    run: async (command, ...args) => {
      try {
        const done = await run('ip', ['netns', 'exec', NAME, command, ...args], { timeoutMs: 5000 })
        return done.stdout.toString()
      } catch {
        return null
      }
    },
    start: (command, ...args) =>
      start('ip', ['netns', 'exec', NAME, command, ...args], { stdio: ['ignore', 'pipe', 'inherit'] }),
    close: async () => {
      server.kill('SIGKILL')
      await once(server, 'exit')
      await remove()
    },
  }
}

async function remove(): Promise<void> {
  await ip('netns', 'delete', NAME).catch(() => undefined)
  await ip('link', 'delete', LINK).catch(() => undefined)
}
