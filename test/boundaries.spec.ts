import { readFileSync } from 'node:fs'
import { globSync } from 'node:fs'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'

/** Who may import whom, and which files decide without touching the world. This list is the map of the product's decisions. */

const root = resolve(import.meta.dirname, '..')
const sources = globSync('{apps,libs,buildpacks}/*/src/**/*.ts', { cwd: root }).filter(
  (file) => !file.endsWith('.d.ts'),
)
const isTest = (file: string): boolean =>
  file.endsWith('.spec.ts') || file.includes('/conformance/') || file.includes('/testing/')

/** Files that decide; every `*.machine.ts` is one too. */
const PURE = [
  'apps/cli/src/argv.ts',
  'apps/cli/src/credential.ts',
  'apps/cli/src/folder/docker-ignore.ts',
  'apps/cli/src/garden/layer-reference.ts',
  'apps/cli/src/garden/options.ts',
  'apps/cli/src/plain-text.ts',
  'apps/cli/src/stack/package-changes.ts',
  'apps/cli/src/time-text.ts',
  'apps/cli/src/up/egress.ts',
  'apps/cli/src/up/launch-vector.ts',
  'apps/cli/src/up/log-lines.ts',
  'apps/cli/src/up/npmrc.ts',
  'apps/controller/src/addresses.ts',
  'apps/controller/src/app/app-name.ts',
  'apps/controller/src/app/config-name.ts',
  'apps/controller/src/auth/credentials.ts',
  'apps/controller/src/auth/roles.ts',
  'apps/controller/src/build/admission.ts',
  'apps/controller/src/build/build-limits.ts',
  'apps/controller/src/build/build-wishes.ts',
  'apps/controller/src/build/builder-reference.ts',
  'apps/controller/src/build/choose-builder.ts',
  'apps/controller/src/build/next-build.ts',
  'apps/controller/src/deploy/cause.ts',
  'apps/controller/src/deploy/lines.ts',
  'apps/controller/src/deploy/strategy.ts',
  'apps/controller/src/image/collect.ts',
  'apps/controller/src/image/distribution-headers.ts',
  'apps/controller/src/image/image-process.ts',
  'apps/controller/src/image/manifest-check.ts',
  'apps/controller/src/image/registry-token.ts',
  'apps/controller/src/instance/state.ts',
  'apps/controller/src/node/network.ts',
  'apps/controller/src/pages/home.ts',
  'apps/controller/src/push/app-env.ts',
  'apps/controller/src/push/app-manifest.ts',
  'apps/controller/src/push/check-files.ts',
  'apps/controller/src/push/folder-path.ts',
  'apps/controller/src/push/git-config.ts',
  'apps/controller/src/push/ignore-file.ts',
  'apps/controller/src/push/pkt-line.ts',
  'apps/controller/src/push/procfile.ts',
  'apps/controller/src/push/push-lock.ts',
  'apps/controller/src/push/push-options.ts',
  'apps/controller/src/push/receive-head.ts',
  'apps/controller/src/push/reception.ts',
  'apps/controller/src/push/ref-policy.ts',
  'apps/controller/src/push/refusal.ts',
  'apps/controller/src/push/report.ts',
  'apps/controller/src/push/text.ts',
  'apps/controller/src/push/tree-caps.ts',
  'apps/controller/src/release/kept-releases.ts',
  'apps/controller/src/release/release-status.ts',
  'apps/controller/src/release/rollback-formation.ts',
  'apps/controller/src/release/service-spec.ts',
  'apps/controller/src/route/table.ts',
  'apps/controller/src/schedule/desired.ts',
  'apps/controller/src/schedule/diff.ts',
  'apps/controller/src/schedule/node-health.ts',
  'apps/controller/src/schedule/place.ts',
  'apps/controller/src/schedule/placements.ts',
  'apps/controller/src/schedule/retire.ts',
  'apps/controller/src/schedule/view.ts',
  'apps/controller/src/stack/bill-of-image.ts',
  'apps/controller/src/stack/packages-of-image.ts',
  'apps/executor/src/build/build-lines.ts',
  'apps/executor/src/build/build-reach.ts',
  'apps/executor/src/build/buildpacks-container.ts',
  'apps/executor/src/build/container-shape.ts',
  'apps/executor/src/build/export-line.ts',
  'apps/executor/src/build/spare-likeness.ts',
  'apps/executor/src/build/starvation.ts',
  'apps/executor/src/builder/accounts.ts',
  'apps/executor/src/buildpack/allowed-source.ts',
  'apps/executor/src/buildpack/style.ts',
  'apps/executor/src/dockerfile/buildah-container.ts',
  'apps/executor/src/dockerfile/buildah-output.ts',
  'apps/executor/src/dockerfile/image-store.ts',
  'apps/executor/src/converge/freshness.ts',
  'apps/executor/src/converge/plan.ts',
  'apps/executor/src/instance/address-book.ts',
  'apps/executor/src/instance/container-spec.ts',
  'apps/executor/src/instance/diagnose.ts',
  'apps/executor/src/instance/ending.ts',
  'apps/executor/src/instance/likely-next.ts',
  'apps/executor/src/instance/listeners.ts',
  'apps/executor/src/instance/restart-policy.ts',
  'apps/executor/src/spare/room.ts',
  'apps/router/src/drain.ts',
  'apps/router/src/haproxy/assign.ts',
  'apps/router/src/haproxy/hold-lua.ts',
  'apps/router/src/haproxy/pages.ts',
  'apps/router/src/haproxy/reconcile.ts',
  'apps/router/src/haproxy/render.ts',
  'apps/router/src/haproxy/state.ts',
  'apps/router/src/table.ts',
  'buildpacks/apt/src/aptfile.ts',
  'buildpacks/classic/src/processes.ts',
  'buildpacks/classic/src/release.ts',
  'buildpacks/node/src/choose-tool.ts',
  'buildpacks/node/src/known-failures.ts',
  'buildpacks/node/src/layer-key.ts',
  'buildpacks/node/src/only-adds.ts',
  'buildpacks/node/src/node-version.ts',
  'buildpacks/node/src/npm-messages.ts',
  'buildpacks/node/src/package-json.ts',
  'buildpacks/node/src/pnpm-messages.ts',
  'buildpacks/node/src/record-text.ts',
  'buildpacks/node/src/registry-setting.ts',
  'buildpacks/node/src/start-command.ts',
  'buildpacks/node/src/yarn-lock.ts',
  'buildpacks/node/src/yarn-messages.ts',
  'buildpacks/php/src/composer-json.ts',
  'buildpacks/php/src/composer-messages.ts',
  'buildpacks/php/src/extensions.ts',
  'buildpacks/php/src/fpm-conf.ts',
  'buildpacks/php/src/htaccess.ts',
  'buildpacks/php/src/httpd-conf.ts',
  'buildpacks/php/src/installed-packages.ts',
  'buildpacks/php/src/nginx-conf.ts',
  'buildpacks/php/src/php-ini.ts',
  'buildpacks/php/src/servers.ts',
  'buildpacks/static/src/headers-file.ts',
  'buildpacks/static/src/nginx-conf.ts',
  'buildpacks/static/src/path-pattern.ts',
  'buildpacks/static/src/redirects-file.ts',
  'buildpacks/static/src/site.ts',
  'buildpacks/static/src/site-of.ts',
  'buildpacks/static/src/static-json.ts',
  'buildpacks/static/src/staticfile.ts',
  'buildpacks/python/src/debian-packages.ts',
  'buildpacks/python/src/dependency-file.ts',
  'buildpacks/python/src/lock-files.ts',
  'buildpacks/python/src/markers.ts',
  'buildpacks/python/src/package-name.ts',
  'buildpacks/python/src/packages-key.ts',
  'buildpacks/python/src/pep440.ts',
  'buildpacks/python/src/pip-messages.ts',
  'buildpacks/python/src/requirements.ts',
  'buildpacks/python/src/start-command.ts',
  'buildpacks/ruby/src/bundler-messages.ts',
  'buildpacks/ruby/src/debian-gems.ts',
  'buildpacks/ruby/src/gemfile-lock.ts',
  'buildpacks/ruby/src/gems-key.ts',
  'buildpacks/ruby/src/ruby-env.ts',
  'buildpacks/ruby/src/start-command.ts',
  'libs/backend-linux/src/cgroup/detect.ts',
  'libs/backend-linux/src/cgroup/io.ts',
  'libs/backend-linux/src/cgroup/limits.ts',
  'libs/backend-linux/src/cgroup/metrics.ts',
  'libs/backend-linux/src/containerizer/bundle.ts',
  'libs/backend-linux/src/containerizer/capabilities.ts',
  'libs/backend-linux/src/containerizer/environment.ts',
  'libs/backend-linux/src/containerizer/turnstile.ts',
  'libs/backend-linux/src/containerizer/validate.ts',
  'libs/backend-linux/src/home/naming.ts',
  'libs/backend-linux/src/networker/address.ts',
  'libs/backend-linux/src/networker/allocator.ts',
  'libs/backend-linux/src/networker/link-plan.ts',
  'libs/backend-linux/src/networker/net-out.ts',
  'libs/backend-linux/src/networker/plan.ts',
  'libs/backend-linux/src/networker/port-plan.ts',
  'libs/backend-linux/src/networker/port-pool.ts',
  'libs/backend-linux/src/networker/shaper.ts',
  'libs/backend-linux/src/seccomp/profile.ts',
  'libs/backend-linux/src/shim/frames.ts',
  'libs/backend-linux/src/volumizer/extents.ts',
  'libs/backend-linux/src/volumizer/shim-plan.ts',
  'libs/backend-linux/src/volumizer/usage-meter.ts',
  'libs/buildpack-kit/src/debs/apt-output.ts',
  'libs/buildpack-kit/src/debs/relocation.ts',
  'libs/garden-api/src/http/address.ts',
  'libs/garden-api/src/http/client/foreign.ts',
  'libs/garden-api/src/http/codec/container-spec.ts',
  'libs/garden-api/src/http/codec/error-body.ts',
  'libs/garden-api/src/http/codec/facts.ts',
  'libs/garden-api/src/http/codec/fields.ts',
  'libs/garden-api/src/http/codec/limits.ts',
  'libs/garden-api/src/http/codec/network.ts',
  'libs/garden-api/src/http/codec/payload.ts',
  'libs/garden-api/src/http/codec/process-info.ts',
  'libs/garden-api/src/http/codec/process-spec.ts',
  'libs/garden-api/src/http/codec/rules.ts',
  'libs/garden-api/src/http/features.ts',
  'libs/garden-api/src/http/server/properties.ts',
  'libs/garden-api/src/http/server/recent.ts',
  'libs/garden-api/src/http/server/router.ts',
  'libs/garden-api/src/spec-rules.ts',
  'libs/kit/src/backoff.ts',
  'libs/kit/src/json-document.ts',
  'libs/kit/src/machine.ts',
  'libs/kit/src/process-type.ts',
  'libs/lifecycle/src/buildpack-choice.ts',
  'libs/lifecycle/src/buildpack.ts',
  'libs/lifecycle/src/formats/project-toml.ts',
  'libs/lifecycle/src/env.ts',
  'libs/lifecycle/src/formats/builder-image.ts',
  'libs/lifecycle/src/formats/buildpack-toml.ts',
  'libs/lifecycle/src/formats/launch-toml.ts',
  'libs/lifecycle/src/formats/layer-toml.ts',
  'libs/lifecycle/src/formats/order-toml.ts',
  'libs/lifecycle/src/formats/system-toml.ts',
  'libs/lifecycle/src/formats/toml.ts',
  'libs/lifecycle/src/interface-env.ts',
  'libs/lifecycle/src/order.ts',
  'libs/lifecycle/src/path-match.ts',
  'libs/lifecycle/src/rebase.ts',
  'libs/lifecycle/src/resolve-plan.ts',
  'libs/lifecycle/src/sbom.ts',
  'libs/lifecycle/src/slices.ts',
  'libs/oci/src/frame-cutter.ts',
  'libs/oci/src/dockerfile.ts',
  'libs/oci/src/proxy-choice.ts',
  'libs/oci/src/registry-url.ts',
  'libs/protocol/src/egress.ts',
  'libs/protocol/src/haproxy-launch.ts',
  'libs/stacks/src/apk-installed.ts',
  'libs/stacks/src/app-runtime.ts',
  'libs/stacks/src/choose-stack.ts',
  'libs/stacks/src/composer-constraint.ts',
  'libs/stacks/src/cyclone-dx.ts',
  'libs/stacks/src/dpkg-status.ts',
  'libs/stacks/src/os-release.ts',
  'libs/stacks/src/stacks.ts',
  'libs/stacks/src/support.ts',
  'libs/stacks/src/system-package.ts',
  'libs/stacks/src/version-clauses.ts',
  'libs/stacks/src/wanted-php.ts',
  'libs/stacks/src/wanted-python.ts',
  'libs/stacks/src/wanted-ruby.ts',
]

/** Modules and globals that make a file impure (style rule 9). */
const IMPURE_MODULES =
  /^(node:)?(fs|net|http|https|child_process|dgram|tls|os|timers|worker_threads)(\/|$)|^(@nestjs\/|typeorm$|pg$|bullmq$|ioredis$|undici$|ws$|fastify$)/
const IMPURE_CALLS = /\b(Date\.now|new Date\(\)|Math\.random|randomUUID|randomBytes|performance\.now|process\.env)\b/

/** The only files outside the rule, each with its reason. */
const SPAWNERS = [
  'libs/kit/src/spawn.ts',
  'libs/buildpack-kit/src/run.ts', // inside the build container, where output passes on to the push as it comes
]

function importsOf(file: string): string[] {
  const text = readFileSync(join(root, file), 'utf8')
  const found = text.matchAll(
    /^\s*(?:import|export)\b[^'"]*?\bfrom\s*['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]/gm,
  )
  return [...found].map((match) => match[1] ?? match[2] ?? match[3] ?? '')
}

/** `apps/router`, `libs/kit`, … of a workspace path or of an `@croft/…` specifier. */
function packageOf(file: string): string {
  return file.split('/').slice(0, 2).join('/')
}
const packageByName = new Map(
  globSync('{apps,libs,buildpacks}/*/package.json', { cwd: root }).map((file) => [
    (JSON.parse(readFileSync(join(root, file), 'utf8')) as { name: string }).name,
    dirname(file),
  ]),
)
function targetPackage(file: string, specifier: string): string | undefined {
  if (specifier.startsWith('.')) return packageOf(relative(root, resolve(root, dirname(file), specifier)))
  const name = specifier.split('/').slice(0, 2).join('/')
  return packageByName.get(name)
}

function violations(check: (file: string, specifier: string) => string | undefined): string[] {
  return sources.flatMap((file) =>
    importsOf(file).flatMap((specifier) => {
      const why = check(file, specifier)
      return why === undefined ? [] : [`${file} imports ${specifier}: ${why}`]
    }),
  )
}

describe('boundaries: who imports whom', () => {
  it('finds the sources it judges', () => {
    expect(sources.length).toBeGreaterThan(50)
  })

  it('no app imports another app, and no library imports an app', () => {
    expect(
      violations((file, specifier) => {
        const from = packageOf(file)
        const to = targetPackage(file, specifier)
        return to?.startsWith('apps/') === true && to !== from ? 'apps are imported by nobody' : undefined
      }),
    ).toEqual([])
  })

  it('libs/kit and libs/stacks import nothing of ours, libs/garden-api only the kit', () => {
    const allowed: Record<string, string[]> = {
      'libs/kit': [],
      'libs/garden-api': ['libs/kit'],
      'libs/protocol': ['libs/kit'],
      'libs/oci': ['libs/kit'],
      'libs/stacks': [],
    }
    expect(
      violations((file, specifier) => {
        const from = packageOf(file)
        const to = targetPackage(file, specifier)
        const may = allowed[from]
        return may !== undefined && to !== undefined && to !== from && !may.includes(to)
          ? `may import ${may.join(', ') || 'nothing'}`
          : undefined
      }),
    ).toEqual([])
  })

  it('buildpacks import no app and only the libraries made for them: they run inside the build container', () => {
    const allowed = ['libs/buildpack-kit', 'libs/stacks']
    const pureParts = ['@croft/kit/json-document', '@croft/kit/process-type']
    expect(
      violations((file, specifier) => {
        if (pureParts.includes(specifier)) return undefined
        const from = packageOf(file)
        const to = targetPackage(file, specifier)
        return (from.startsWith('buildpacks/') || from === 'libs/buildpack-kit') &&
          to !== undefined &&
          to !== from &&
          !allowed.includes(to)
          ? `only ${allowed.join(' and ')}`
          : undefined
      }),
    ).toEqual([])
  })

  it('only libs/kit/src/spawn.ts and its like for buildpacks start processes', () => {
    expect(
      violations((file, specifier) =>
        /^(node:)?child_process$/.test(specifier) &&
        !isTypeOnly(readFileSync(join(root, file), 'utf8'), specifier) &&
        !SPAWNERS.includes(file) &&
        !isTest(file)
          ? 'use @croft/kit'
          : undefined,
      ),
    ).toEqual([])
  })

  it('nothing runs a shell', () => {
    const offenders = sources.filter(
      (file) =>
        !isTest(file) &&
        /\bshell:\s*true|\bexecSync\(|['"](?:ba)?sh['"],\s*\[\s*['"]-c['"]/.test(
          readFileSync(join(root, file), 'utf8'),
        ),
    )
    expect(offenders).toEqual([])
  })
})

describe('boundaries: files that decide', () => {
  const machines = sources.filter((file) => file.endsWith('.machine.ts'))
  it.each([...PURE, ...machines])('%s decides without touching the world', (file) => {
    const text = readFileSync(join(root, file), 'utf8')
    const impureImports = importsOf(file).filter(
      (specifier) => IMPURE_MODULES.test(specifier) && !isTypeOnly(text, specifier),
    )
    expect(impureImports).toEqual([])
    expect(IMPURE_CALLS.exec(text)?.[0]).toBeUndefined()
  })

  it('a suffix says what a file is, and no file is a Manager, Helper or Util', () => {
    const odd = sources
      .map((file) => basename(file))
      .filter(
        (name) =>
          /manager|helper|utils?\b/i.test(name) ||
          !/^[a-z0-9-]+(\.(machine|entity|controller|processor|service|module|queue|sweeper|filter|routes|spec|d))?\.ts$/.test(
            name,
          ),
      )
    expect([...new Set(odd)]).toEqual([])
  })
})

function isTypeOnly(text: string, specifier: string): boolean {
  const escaped = specifier.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  const all = [...text.matchAll(new RegExp(`import\\s+(type\\s+)?[^'"]*from\\s*['"]${escaped}['"]`, 'g'))]
  return all.length > 0 && all.every((match) => match[1] !== undefined)
}
