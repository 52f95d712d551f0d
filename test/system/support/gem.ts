import { gzipSync } from 'node:zlib'
import { buffer } from 'node:stream/consumers'
import { pack } from 'tar-stream'

/** A gem of one file, as `gem build` would write it: enough for Bundler to install. */
export async function gem(name: string, version: string, code: string): Promise<{ file: string; content: Buffer }> {
  const data = await tar({ [`lib/${name}.rb`]: code })
  const content = await tar({ 'metadata.gz': gzipSync(specification(name, version)), 'data.tar.gz': gzipSync(data) })
  return { file: `${name}-${version}.gem`, content }
}

function tar(files: Record<string, string | Buffer>): Promise<Buffer> {
  const archive = pack()
  for (const [path, data] of Object.entries(files)) archive.entry({ name: path, mode: 0o644, mtime: new Date(0) }, data)
  archive.finalize()
  return buffer(archive)
}

function specification(name: string, version: string): string {
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
extensions: []
extra_rdoc_files: []
files:
- lib/${name}.rb
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
