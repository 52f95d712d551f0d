import type { Command } from 'commander'
import { examples } from '../examples.js'
import { DEFAULT_DEPOT, DEFAULT_NETWORK, readOptions, type TypedOptions } from '../garden/options.js'

const each = (value: string, before: string[] = []): string[] => [...before, value]

/** `croft garden`: the container API by itself, without a platform. */
export function register(program: Command): void {
  const command = program
    .command('garden')
    .description("serve containers by Garden's API, without a platform")
    .option('--listen <address>', 'unix:PATH or tcp:HOST:PORT; may be given several times', each)
    .option('--depot <dir>', 'where its containers are', DEFAULT_DEPOT)
    .option('--backend <name>', 'linux, or fake: scripted containers in memory, to try clients with', 'linux')
    .option('--default-rootfs <image>', 'what an image without a name is: a directory, a tar, oci:///layout')
    .option('--image-alias <from=to>', 'an image that stands for another; may be given several times', each)
    .option('--network <cidr>', "range of the containers' addresses", DEFAULT_NETWORK)
    .option('--max-containers <number>', 'refuse more than this many')
    .option('--allow-privileged', 'let clients ask for privileged containers (still in a user namespace)')
    .option('--group <group>', 'group that may use the unix socket beside its owner')
    .option('--token-file <file>', 'what TCP clients must send as bearer token')
    .option('--tls-cert <file>', 'certificate of the TCP address')
    .option('--tls-key <file>', 'its key')
    .option('--tls-ca <file>', 'clients must show a certificate of this authority')
    .option('--destroy-on-exit', 'destroy the containers at the end, instead of leaving them running')
    .option('--json', 'say where it listens as one line of JSON')
    .action(async (typed: TypedOptions) => {
      const options = readOptions(typed)
      const stop = new AbortController()
      for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, () => stop.abort())
      const { serveGarden } = await import('@croft/cli/garden')
      await serveGarden(options, stop.signal)
    })
  command.addHelpText(
    'after',
    '\nCtrl-C ends it; its containers run on, and the next one with the same depot takes them up.' +
      '\nTCP addresses that others can reach need a token or TLS with --tls-ca.',
  )
  examples(
    command,
    'croft garden --listen unix:/run/garden.sock --default-rootfs /images/busybox.tar',
    'croft garden --listen tcp:127.0.0.1:7777 --image-alias docker:///busybox=oci:///images/busybox',
    'croft garden --listen unix:/tmp/garden.sock --backend fake',
  )
}
