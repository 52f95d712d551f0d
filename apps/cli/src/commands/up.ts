import type { Command } from 'commander'
import { examples } from '../examples.js'
import { DEFAULT_NETWORK } from '../garden/options.js'
import { up } from '../up/up.js'
import { hasIpv6Loopback } from '../up/ipv6.js'
import { readSettings, type UpOptions } from '../up/settings.js'
import { homeOption, requireRoot } from './options.js'

/** `croft up`: set-up, then the platform, in the foreground unless detached. */
export function register(program: Command): void {
  const command = program
    .command('up')
    .description('set up this host and start the platform on it')
    .option('--detach', 'return once the platform is ready')
    .option('--domain <name>', 'apps are <app>.<name> (CROFT_DOMAIN; default localhost)')
    .option('--http-port <port>', 'port of apps and platform (CROFT_HTTP_PORT; default 8080)')
    .option('--https-port <port>', 'kept for HTTPS (CROFT_HTTPS_PORT; default 8443)')
    .option('--ssh-port <port>', 'kept for git over SSH (CROFT_SSH_PORT; default 2222)')
    .option(
      '--public-url <url>',
      'scheme, host and port of printed addresses when something stands in front (CROFT_PUBLIC_URL)',
    )
    .option(
      '--listen <addresses>',
      'addresses to bind, comma-separated (CROFT_LISTEN; default loopback for localhost, else all)',
    )
    .option('--database-url <url>', 'a PostgreSQL 18 to use instead of the embedded one (CROFT_DATABASE_URL)')
    .option('--redis-url <url>', 'a Redis to use instead of our own (CROFT_REDIS_URL)')
    .option(
      '--garden <address>',
      'a container API to use instead of our own, unix:PATH or tcp:HOST:PORT (CROFT_GARDEN)',
    )
    .option('--garden-token-file <file>', 'what it wants as bearer token (CROFT_GARDEN_TOKEN_FILE)')
    .option(
      '--garden-network <cidr>',
      `addresses its containers have (CROFT_GARDEN_NETWORK; default ${DEFAULT_NETWORK}, as of \`croft garden\`)`,
    )
    .option(
      '--registry-url <url>',
      'a registry that images are published in and nodes pull from, https://HOST[:PORT][/PATH] (CROFT_REGISTRY_URL)',
    )
    .option(
      '--registry-credentials-file <file>',
      'NAME:PASSWORD for it, readable by root only (CROFT_REGISTRY_CREDENTIALS_FILE)',
    )
    .option(
      '--registry-plain-http',
      'speak to it without encryption although it is elsewhere (CROFT_REGISTRY_PLAIN_HTTP=1)',
    )
    .option('--no-example', 'do not push examples/node-hello on the first start')
    .action(async (options: UpOptions) => {
      const settings = readSettings(options, process.env, hasIpv6Loopback())
      requireRoot('up')
      await up(settings, options.detach === true)
    })
  homeOption(command)
  examples(
    command,
    'croft up',
    'croft up --detach --domain apps.example.org --http-port 80',
    'croft up --detach --garden unix:/run/garden.sock',
    'croft up --detach --home /srv/second --http-port 9080 --https-port 9443 --ssh-port 9222',
  )
}
