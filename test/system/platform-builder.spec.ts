import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { builderParts, inBuilder, makeImage, RUNS_AS, type ImageStore, type Parts } from './support/builder-images.js'
import { Platform } from './support/platform.js'

/**
 * A builder image and its run image, pushed to the platform's own registry, build and carry an app from `git push` to its page. Long
 * form: what each part does has specs of its own.
 */
const isLong = process.env['CROFT_TEST_LONG'] === '1'
const platform = Platform.at('builder')
const registry = `localhost:${platform.httpPort}`

/** A web server, in a language that every Debian has. */
const SERVER = `use IO::Socket::INET;
my $server = IO::Socket::INET->new(LocalPort => $ENV{PORT}, Listen => 9, ReuseAddr => 1) or die;
while (my $client = $server->accept) {
  while (<$client>) { last if /^\\r?$/ }
  my $body = join '', map { open my $file, '<', $_; local $/; <$file> } qw(hello.txt /etc/run-marker);
  $body .= "as $<\\n";
  print $client "HTTP/1.1 200 OK\\r\\nContent-Length: " . length($body) . "\\r\\nConnection: close\\r\\n\\r\\n$body";
  close $client;
}
`
const BUILD = `#!/bin/sh
set -eu
mkdir -p "$CNB_LAYERS_DIR/server"
cp "$CNB_BUILDPACK_DIR/server.pl" "$CNB_LAYERS_DIR/server/"
printf '[types]\\nlaunch = true\\n' >"$CNB_LAYERS_DIR/server.toml"
printf '[[processes]]\\ntype = "web"\\ncommand = ["perl", "%s"]\\n' "$CNB_LAYERS_DIR/server/server.pl" >"$CNB_LAYERS_DIR/launch.toml"
`

/** One request to the registry as container tools send it. */
async function send(method: string, path: string, body: Buffer, type = 'application/octet-stream'): Promise<void> {
  const authorization = `Basic ${Buffer.from(`x:${platform.token}`).toString('base64')}`
  const answer = await fetch(`http://${registry}/v2/images/${path}`, {
    method,
    headers: { authorization, 'content-type': type },
    body: new Uint8Array(body),
  })
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
}

function publish(tag: string, parts: Parts): Promise<unknown> {
  const store: ImageStore = {
    blob: (digest, bytes) => send('POST', `blobs/uploads/?digest=${digest}`, bytes),
    manifest: (_digest, bytes) => send('PUT', `manifests/${tag}`, bytes, 'application/vnd.oci.image.manifest.v1+json'),
  }
  return makeImage(store, join(platform.folder, 'spool-of-image'), parts)
}
const publishRun = (marker: string): Promise<unknown> =>
  publish('run', { files: [{ kind: 'file', path: '/etc/run-marker', content: marker }], user: 'runner' })

describe.skipIf(!isLong)('a builder image in the registry', () => {
  beforeAll(async () => {
    await platform.up('--no-example')
    await platform.croft('apps:create', 'images')
    await publishRun('on the first run image\n')
    const files = inBuilder('acme/hello', '1.0', BUILD)
    const server = { kind: 'file' as const, path: '/cnb/buildpacks/acme_hello/1.0/server.pl', content: SERVER }
    await publish('base', { files: [...files, server], ...builderParts('acme/hello', '1.0', `${registry}/images:run`) })
  }, 600_000)
  afterAll(async () => {
    await platform.down()
    platform.remove()
  })

  it('builds an app, which serves on its run image as that one says', async () => {
    const set = await platform.croft('settings:set', `builder=${registry}/images:base`, 'builder-sources=none')
    expect(set.output).toContain(`builder=${registry}/images:base`)
    const app = await platform.repository('greeter', { 'hello.txt': 'hello\n' })
    const pushed = await app.push()
    expect(pushed.code, pushed.output).toBe(0)
    expect(pushed.output).toContain(`Using the builder image ${registry}/images:base`)
    const { body } = await platform.serves('greeter', 'hello')
    expect(body).toBe(`hello\non the first run image\nas ${RUNS_AS.uid}\n`)
  })

  it('is in builds:info with its digest', async () => {
    const { output } = await platform.croft('builds:info', '-a', 'greeter')
    expect(output).toMatch(/^builder {3}localhost:\d+\/images:base \(sha256:[0-9a-f]{64}\)$/m)
    expect(output).toMatch(/^stands on localhost:\d+\/images:run \(sha256:[0-9a-f]{64}\)$/m)
    expect(output).toMatch(/^built by {2}acme\/hello 1\.0 \(sha256:/m)
  })

  it('leaves an app whose run image can be swapped without a build', async () => {
    await publishRun('on the second run image\n')
    const rebased = await platform.croft('rebase', '-a', 'greeter')
    expect(rebased.code, rebased.output).toBe(0)
    await platform.serves('greeter', 'on the second run image')
  })

  it('is refused to apps where only the platform’s own is allowed', async () => {
    const refused = await platform.croft('apps:set', 'greeter', 'builder=acme/other:1')
    expect(refused.code).toBe(1)
    expect(refused.output).toContain('apps may not be built by acme/other:1 on this platform')
  })
})
