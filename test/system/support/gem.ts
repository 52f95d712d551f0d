import { gzipSync } from 'node:zlib'
import { buffer } from 'node:stream/consumers'
import { pack } from 'tar-stream'

/** A gem, as `gem build` would write it: enough for Bundler to install. With an `ext/<name>/extconf.rb` it is compiled. */
export async function gem(
  name: string,
  version: string,
  files: Record<string, string>,
): Promise<{ file: string; content: Buffer }> {
  const text = specification(name, version, Object.keys(files))
  const content = await tar({ 'metadata.gz': gzipSync(text), 'data.tar.gz': gzipSync(await tar(files)) })
  return { file: `${name}-${version}.gem`, content }
}

function tar(files: Record<string, string | Buffer>): Promise<Buffer> {
  const archive = pack()
  for (const [path, data] of Object.entries(files)) archive.entry({ name: path, mode: 0o644, mtime: new Date(0) }, data)
  archive.finalize()
  return buffer(archive)
}

function specification(name: string, version: string, files: readonly string[]): string {
  const extensions = files.filter((file) => file.endsWith('/extconf.rb'))
  const list = (names: readonly string[]): string =>
    names.length === 0 ? ' []' : names.map((one) => `\n- ${one}`).join('')
  const any =
    '!ruby/object:Gem::Requirement\n  requirements:\n  - - ">="\n    - !ruby/object:Gem::Version\n      version: "0"'
  return `--- !ruby/object:Gem::Specification
name: ${name}
version: !ruby/object:Gem::Version
  version: ${version}
platform: ruby
authors:
- spec
bindir: bin
cert_chain: []
date: 2020-01-01 00:00:00.000000000 Z
dependencies: []
executables: []
extensions:${list(extensions)}
extra_rdoc_files: []
files:${list(files)}
licenses: []
metadata: {}
rdoc_options: []
require_paths:
- lib
required_ruby_version: ${any}
required_rubygems_version: ${any}
requirements: []
rubygems_version: 3.3.15
specification_version: 4
summary: ${name}
test_files: []
`
}
