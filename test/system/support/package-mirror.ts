import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { join } from 'node:path'
import { bareEnv, run, waitFor } from '@croft/kit'
import type { Lan } from './lan.js'

/** A registry of npm on another host of the private network, over https with a certificate of its own. */
export interface PackageMirror {
  url: string
  /** The certificate a client has to trust. */
  ca: string
  /** Of its one package `greeting@1.0.0`, which no other registry has. */
  integrity: string
  /** Paths that were asked for so far. */
  requests(): string[]
  close(): Promise<void>
}

const SERVER = `
const { createServer } = require('node:https'), { readFileSync } = require('node:fs')
const [folder, url, port, integrity] = process.argv.slice(1)
const at = (name) => readFileSync(folder + '/' + name)
const version = { name: 'greeting', version: '1.0.0', dist: { tarball: url + 'greeting/-/greeting-1.0.0.tgz', integrity } }
const document = { name: 'greeting', 'dist-tags': { latest: '1.0.0' }, versions: { '1.0.0': version } }
createServer({ key: at('key.pem'), cert: at('cert.pem') }, (request, response) => {
  console.log('asked ' + request.url)
  if (request.url.endsWith('.tgz')) return response.end(at('greeting.tgz'))
  if (request.url !== '/npm/greeting') return response.writeHead(404).end('{}')
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify(document))
}).listen(Number(port), () => console.log('up'))`

export async function packageMirror(lan: Lan, folder: string, port: number): Promise<PackageMirror> {
  mkdirSync(join(folder, 'package'), { recursive: true })
  const subject = ['-subj', '/CN=Corp', '-addext', `subjectAltName=IP:${lan.target}`]
  const files = ['-keyout', join(folder, 'key.pem'), '-out', join(folder, 'cert.pem')]
  await run('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...subject, ...files], {
    timeoutMs: 30_000,
    env: bareEnv(),
  })
  const manifest = { name: 'greeting', version: '1.0.0', main: 'index.js' }
  writeFileSync(join(folder, 'package/package.json'), JSON.stringify(manifest))
  writeFileSync(join(folder, 'package/index.js'), "module.exports = 'hello from the mirror'\n")
  const archive = join(folder, 'greeting.tgz')
  await run('tar', ['--mtime=@0', '--sort=name', '-czf', archive, '-C', folder, 'package'], {
    timeoutMs: 10_000,
    env: bareEnv(),
  })
  const integrity = `sha512-${createHash('sha512').update(readFileSync(archive)).digest('base64')}`
  const url = `https://${lan.target}:${port}/npm/`
  const server = lan.start(process.execPath, '-e', SERVER, folder, url, String(port), integrity)
  let said = ''
  server.stdout?.on('data', (chunk: Buffer) => (said += chunk.toString()))
  await waitFor(() => said.includes('up'), { what: 'the mirror to serve', timeoutMs: 10_000 })
  return {
    url,
    ca: readFileSync(join(folder, 'cert.pem'), 'utf8'),
    integrity,
    requests: () => said.split('\n').flatMap((line) => (line.startsWith('asked ') ? [line.slice(6)] : [])),
    close: async () => {
      server.kill('SIGKILL')
      await once(server, 'exit')
    },
  }
}
