import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { once } from 'node:events'
import { createServer, type Server } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { bareEnv, run, start } from '@croft/kit'

/** Git repositories over https on loopback, with a certificate of its own; each made from a folder. */
export interface HttpsGit {
  port: number
  /** The certificate a client has to trust. */
  ca: string
  /** Commits the folder as it is now to branch `main` of repository `name`; gives the commit. */
  publish(name: string, folder: string): Promise<string>
  url(name: string): string
  /** Requests so far. */
  requests: string[]
  close(): Promise<void>
}

const gitEnv = bareEnv({
  GIT_CONFIG_NOSYSTEM: '1',
  GIT_CONFIG_GLOBAL: '/dev/null',
  GIT_AUTHOR_NAME: 'test',
  GIT_AUTHOR_EMAIL: 'test@localhost',
  GIT_COMMITTER_NAME: 'test',
  GIT_COMMITTER_EMAIL: 'test@localhost',
})

export async function httpsGit(folder: string): Promise<HttpsGit> {
  mkdirSync(folder, { recursive: true })
  const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')]
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost']
  await run(
    'openssl',
    ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', ...subject, '-keyout', key, '-out', cert],
    { timeoutMs: 30_000, env: bareEnv() },
  )
  const requests: string[] = []
  const server: Server = createServer({ key: readFileSync(key), cert: readFileSync(cert) }, (request, response) => {
    const url = new URL(request.url ?? '', 'https://localhost')
    requests.push(`${request.method} ${url.pathname}`)
    const [, name = '', ...rest] = url.pathname.split('/')
    const isAdvertised = rest.join('/') === 'info/refs'
    if (
      !/^[\w-]+\.git$/.test(name) ||
      !existsSync(join(folder, name)) ||
      (!isAdvertised && rest.join('/') !== 'git-upload-pack')
    ) {
      return void response.writeHead(404).end()
    }
    const protocol = request.headers['git-protocol']
    const child = start(
      'git',
      ['upload-pack', '--stateless-rpc', ...(isAdvertised ? ['--advertise-refs'] : []), join(folder, name)],
      {
        env: { ...gitEnv, ...(typeof protocol === 'string' && { GIT_PROTOCOL: protocol }) },
        stdio: ['pipe', 'pipe', 'ignore'],
      },
    )
    response.writeHead(200, {
      'content-type': `application/x-git-upload-pack-${isAdvertised ? 'advertisement' : 'result'}`,
      'cache-control': 'no-cache',
    })
    if (isAdvertised && protocol !== 'version=2') response.write('001e# service=git-upload-pack\n0000')
    if (child.stdin !== null) request.pipe(child.stdin)
    child.stdout?.pipe(response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const url = (name: string): string => `https://127.0.0.1:${port}/${name}.git`
  return {
    port,
    ca: cert,
    requests,
    url,
    async publish(name, source) {
      const repository = join(folder, `${name}.git`)
      const git = async (...args: string[]): Promise<string> => {
        const env = { ...gitEnv, GIT_DIR: repository, GIT_WORK_TREE: source }
        return (await run('git', args, { timeoutMs: 60_000, env, cwd: source })).stdout.toString().trim()
      }
      mkdirSync(repository, { recursive: true })
      await git('init', '--quiet', '--initial-branch=main')
      await git('config', 'uploadpack.allowAnySHA1InWant', 'true')
      await git('add', '--all', '--force')
      await git('commit', '--quiet', '--allow-empty', '--message=as it is')
      return git('rev-parse', 'HEAD')
    },
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
