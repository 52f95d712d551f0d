import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { GardenError, InvalidSpecError } from '../../errors.js'
import type { ContainerSpec, Limits, NetOutRule, ProcessSpec } from '../../types.js'
import { containerSpecToWire, decodeContainerSpec, extensionsOf } from './container-spec.js'
import { decodeLease, decodePosition, decodeEvent } from './event.js'
import { decodeCapacity, decodeInfo, decodeMetrics, infoToWire, metricsToWire } from './facts.js'
import { decodeLimits, decodeLiveLimits, limitsToWire, ONE_LIMIT } from './limits.js'
import { decodeMappedPort, decodeNetIn, decodeNetOutRule, decodeNetOutRules, netOutRuleToWire } from './network.js'
import { decodeInput } from './payload.js'
import { decodeProcessInfos } from './process-info.js'
import { decodeProcessSpec, processSpecToWire } from './process-spec.js'

/** As it travels. */
const overTheWire = (value: unknown): unknown => JSON.parse(JSON.stringify(value)) as unknown

/** Only the named keys, each of which may be missing, as in `exactOptionalPropertyTypes`. */
const optional = <T extends Record<string, fc.Arbitrary<unknown>>>(fields: T) =>
  fc.record(fields, { requiredKeys: [] }) as unknown as fc.Arbitrary<{
    [K in keyof T]?: T[K] extends fc.Arbitrary<infer V> ? V : never
  }>
const filled = <T extends object>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  arbitrary.filter((value) => Object.keys(value).length > 0)

const count = fc.integer({ min: 1, max: 2 ** 40 })
const port = fc.integer({ min: 1, max: 65_535 })
const plain = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 20 }).filter((value) => !value.includes('\0'))
const absolute = plain.map((value) => `/${value}`)
const envLines = fc.array(
  plain.map((value) => `NAME=${value}`),
  { minLength: 1, maxLength: 3 },
)
const ip = fc.ipV4()
const anyMount = fc.record(
  {
    srcPath: absolute,
    dstPath: absolute,
    mode: fc.constantFrom('ro' as const, 'rw' as const),
    isIdmapped: fc.boolean(),
    lowerPaths: fc.array(absolute, { minLength: 1, maxLength: 2 }),
    workPath: absolute,
  },
  { requiredKeys: ['srcPath', 'dstPath', 'mode'] },
)
const image = fc.record({ uri: plain, username: plain, password: plain }, { requiredKeys: ['uri'] })

const limits = filled(
  optional({
    memory: fc.record({ limitBytes: count }),
    cpu: filled(optional({ weight: count, limitInShares: count, quotaMillis: count })),
    pids: fc.record({ max: count }),
    disk: fc.record(
      { byteHard: count, inodeHard: count, scope: fc.constantFrom('total' as const, 'exclusive' as const) },
      { requiredKeys: ['byteHard'] },
    ),
    bandwidth: fc.record({ rateBytesPerSecond: count, burstBytes: count }),
    io: filled(
      optional({ weight: fc.integer({ min: 1, max: 10_000 }), readBytesPerSecond: count, writeBytesPerSecond: count }),
    ),
  }),
) as fc.Arbitrary<Limits>

const range = fc
  .record({ start: port, end: port })
  .map(({ start, end }) => (start === end ? { start } : { start: Math.min(start, end), end: Math.max(start, end) }))
const rule = fc
  .record(
    {
      protocol: fc.constantFrom('all' as const, 'tcp' as const, 'udp' as const, 'icmp' as const, 'icmpv6' as const),
      networks: fc.array(fc.record({ start: ip, end: ip }), { minLength: 1, maxLength: 3 }),
      ports: fc.array(range, { minLength: 1, maxLength: 3 }),
      icmp: fc.record(
        { type: fc.integer({ min: 0, max: 255 }), code: fc.integer({ min: 0, max: 255 }) },
        { requiredKeys: ['type'] },
      ),
      log: fc.boolean(),
    },
    { requiredKeys: ['protocol'] },
  )
  .map(({ ports, ...rest }): NetOutRule =>
    ports !== undefined && (rest.protocol === 'tcp' || rest.protocol === 'udp') ? { ...rest, ports } : rest,
  )

const containerSpec = optional({
  handle: fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._:-]{0,30}$/).filter((value) => !value.startsWith('bulk_')),
  image,
  bindMounts: fc.array(anyMount, { minLength: 1, maxLength: 3 }),
  network: fc.oneof(
    ip,
    fc.tuple(ip, fc.integer({ min: 0, max: 32 })).map(([address, bits]) => `${address}/${bits}`),
  ),
  properties: filled(fc.dictionary(plain, plain, { maxKeys: 3 })),
  env: envLines,
  isPrivileged: fc.constant(true as const),
  limits,
  netIn: fc.array(filled(optional({ hostPort: port, containerPort: port })), { minLength: 1, maxLength: 3 }),
  netOut: fc.array(rule, { minLength: 1, maxLength: 3 }),
  graceTimeMs: fc.integer({ min: 1, max: 2 ** 40 }),
  noNewPrivileges: fc.boolean(),
  hostname: fc.stringMatching(/^[a-z][a-z0-9.-]{0,20}$/),
}).filter((spec) => !['check', 'pause', 'resume'].includes(spec.handle ?? '')) as fc.Arbitrary<ContainerSpec>

const processSpec = fc.record(
  {
    id: fc.stringMatching(/^[A-Za-z0-9_-][A-Za-z0-9._-]{0,30}$/),
    path: plain,
    args: fc.array(plain, { minLength: 1, maxLength: 3 }),
    env: envLines,
    dir: plain,
    user: plain,
    rlimits: filled(optional({ nofile: fc.nat(), core: fc.nat(), stack: count })),
    tty: fc.oneof(fc.constant(true as const), fc.record({ columns: port, rows: port })),
    image,
  },
  { requiredKeys: ['path'] },
) as fc.Arbitrary<ProcessSpec>

describe('what we say, read back from the wire,', () => {
  it('is the same container spec', () => {
    fc.assert(
      fc.property(containerSpec, (spec) => {
        // Garden's default of this one is the opposite of ours, so that the client always says it
        const said = { noNewPrivileges: true, ...spec }
        expect(decodeContainerSpec(overTheWire(containerSpecToWire(spec)))).toEqual(said)
      }),
    )
  })

  it('is the same process spec, with mounts and limits where it has an image', () => {
    fc.assert(
      fc.property(
        processSpec,
        fc.array(anyMount, { minLength: 1, maxLength: 2 }),
        count,
        (spec, bindMounts, limitBytes) => {
          const whole = spec.image === undefined ? spec : { ...spec, bindMounts, limits: { memory: { limitBytes } } }
          expect(decodeProcessSpec(overTheWire(processSpecToWire(whole)))).toEqual(whole)
        },
      ),
    )
  })

  it('are the same limits and rules', () => {
    fc.assert(
      fc.property(limits, (value) => {
        expect(decodeLimits(overTheWire(limitsToWire(value)))).toEqual(value)
      }),
    )
    fc.assert(
      fc.property(rule, (value) => {
        expect(decodeNetOutRule(overTheWire(netOutRuleToWire(value)))).toEqual(value)
      }),
    )
  })

  it('are the same facts and measurements', () => {
    const info = {
      state: 'stopped' as const,
      events: ['Out of memory'],
      hostIp: '10.0.0.1',
      containerIp: '10.0.0.2',
      externalIp: '192.168.0.1',
      containerPath: '/depot/a',
      processIds: ['one', 'two'],
      properties: { a: 'b', __proto__x: 'c' },
      mappedPorts: [{ hostPort: 61_001, containerPort: 80 }],
    }
    expect(decodeInfo(overTheWire(infoToWire(info)))).toEqual(info)
    const metrics = {
      memory: { usageTowardLimitBytes: 5, limitBytes: 64, stat: { total_rss: 3, anon: 2 } },
      cpu: { usageNs: 3, userNs: 2, systemNs: 1 },
      disk: { totalBytes: 10, exclusiveBytes: 5, exclusiveInodes: 2, totalInodes: 3 },
      network: { rxBytes: 1, txBytes: 2 },
      pids: { current: 3, max: 10 },
      ageMs: 1234,
    }
    expect(decodeMetrics(overTheWire(metricsToWire(metrics)))).toEqual(metrics)
    const bare = {
      ...metrics,
      network: null,
      pids: { current: 1, max: null },
      memory: { ...metrics.memory, limitBytes: null },
    }
    expect(decodeMetrics(overTheWire(metricsToWire(bare)))).toEqual(bare)
  })
})

describe('whatever comes', () => {
  const decoders: Record<string, (json: unknown) => unknown> = {
    decodeContainerSpec,
    decodeProcessSpec,
    decodeLimits,
    decodeLiveLimits,
    decodeNetIn,
    decodeMappedPort,
    decodeNetOutRule,
    decodeNetOutRules,
    decodeInput,
    decodeCapacity,
    decodeInfo,
    decodeMetrics,
    decodeProcessInfos,
    decodeEvent,
    decodePosition,
    decodeLease: (json) => decodeLease(json, 0),
  }
  /** Names that mean something, with values that may not. */
  const NAMES =
    'handle image uri rootfs limits cpu_limits weight disk_limits scope bind_mounts src_path mode env properties netin host_port ' +
    'netout_rules protocol ports networks start end icmps path args tty window_size columns rlimits nofile grace_time signal source ' +
    'data data_b64 Properties MappedPorts MemoryStat processes exit state lease holder ttl kind boot version'
  const json = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom<unknown>(null, true, -1, 0, 1.5, 2 ** 70, '', 'x', '\0', '/a', 'A=b', '1.2.3.4', [], {}),
      fc.array(tie('value'), { maxLength: 3 }),
      fc.dictionary(fc.constantFrom(...NAMES.split(' ')), tie('value'), { maxKeys: 6 }),
    ),
  })).value

  it.each(Object.entries(decoders))('%s decides or says which field is wrong, and nothing else', (_name, decode) => {
    fc.assert(
      fc.property(fc.oneof(json, fc.jsonValue()), (value) => {
        try {
          decode(value)
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidSpecError)
          expect(Object.keys((error as GardenError).fields ?? {}).length).toBeGreaterThan(0)
        }
      }),
      { numRuns: 300 },
    )
  })
})

describe("a spec of Garden's", () => {
  it('as the Go client sends it when nothing is asked asks for nothing', () => {
    const empty = { bandwidth_limits: {}, cpu_limits: {}, disk_limits: {}, memory_limits: {}, pid_limits: {} }
    expect(decodeContainerSpec({ image: {}, limits: empty })).toEqual({ noNewPrivileges: false })
    expect(decodeProcessSpec({ path: 'ls', rlimits: {}, image: {} })).toEqual({ path: 'ls' })
  })

  it.each<[string, unknown, ContainerSpec]>([
    ['names in any case', { HANDLE: 'a', Grace_Time: 1_000_000 }, { handle: 'a', graceTimeMs: 1 }],
    ['null as absence', { handle: null, env: null, limits: null, bind_mounts: null }, {}],
    ['fields nobody knows', { handle: 'a', colour: 'blue', limits: { gravity: 9 } }, { handle: 'a' }],
    ['an empty handle as none', { handle: '', network: '' }, {}],
    ['rootfs as the image', { rootfs: '/a' }, { image: { uri: '/a' } }],
    ['the last of two spellings', { env: ['A=1'], ENV: ['A=2'] }, { env: ['A=2'] }],
    ['less than a millisecond as one', { grace_time: 1 }, { graceTimeMs: 1 }],
    [
      'a soft limit where there is no hard one',
      { limits: { disk_limits: { byte_soft: 5, scope: 1 } } },
      { limits: { disk: { byteHard: 5, scope: 'exclusive' } } },
    ],
    ['zeros as no limit', { limits: { memory_limits: { limit_in_bytes: 0 }, cpu_limits: { weight: 0 } } }, {}],
    [
      'a mount that says nothing as read-only',
      { bind_mounts: [{ src_path: '/a', dst_path: '/b' }] },
      { bindMounts: [{ srcPath: '/a', dstPath: '/b', mode: 'ro' }] },
    ],
    [
      'one end of a range',
      { netout_rules: [{ protocol: 1, networks: [{ end: '1.2.3.4' }], ports: [{ end: 80 }] }] },
      { netOut: [{ protocol: 'tcp', networks: [{ start: '1.2.3.4' }], ports: [{ start: 80 }] }] },
    ],
    [
      'an ICMP type of 0 with any code',
      { netout_rules: [{ protocol: 3, icmps: { type: 0 } }] },
      { netOut: [{ protocol: 'icmp', icmp: { type: 0 } }] },
    ],
    ['a property without a value', { properties: { a: null } }, { properties: { a: '' } }],
  ])('may have %s', (_what, json, spec) => {
    expect(decodeContainerSpec(json)).toEqual({ ...spec, noNewPrivileges: false })
  })

  it.each<[unknown, string]>([
    [{ handle: '../up' }, 'handle'],
    [{ handle: 'a'.repeat(129) }, 'handle'],
    [{ grace_time: 1.5 }, 'grace_time'],
    [{ network: '1.2.3.4/33' }, 'network'],
    [{ network: '999.2.3.4' }, 'network'],
    [{ env: ['=x'] }, 'env[0]'],
    [{ properties: { a: 7 } }, 'properties.a'],
    [{ properties: [] }, 'properties'],
    [{ privileged: 'yes' }, 'privileged'],
    [{ image: 'busybox' }, 'image'],
    [{ image: { uri: 7 } }, 'image.uri'],
    [{ bind_mounts: [{ dst_path: '/b' }] }, 'bind_mounts[0].src_path'],
    [{ bind_mounts: [{ src_path: '/a', dst_path: '/b', origin: 1 }] }, 'bind_mounts[0].origin'],
    [{ bind_mounts: [{ src_path: '/a', dst_path: '/b', mode: 'rw' }] }, 'bind_mounts[0].mode'],
    [{ limits: { disk_limits: { scope: 2 } } }, 'limits.disk_limits.scope'],
    [{ limits: { memory_limits: { limit_in_bytes: -1 } } }, 'limits.memory_limits.limit_in_bytes'],
    [{ limits: { io_limits: { weight: 20_000 } } }, 'limits.io_limits.weight'],
    [{ netin: [{ host_port: 70_000 }] }, 'netin[0].host_port'],
    [{ netout_rules: [{ networks: [{ start: 'example.org' }] }] }, 'netout_rules[0].networks[0].start'],
    [{ netout_rules: [{ protocol: 1, ports: [{ start: 9, end: 3 }] }] }, 'netout_rules[0].ports[0].end'],
    [{ netout_rules: [{ protocol: 4, icmps: { type: 256 } }] }, 'netout_rules[0].icmps.type'],
    [{ hostname: 'a b' }, 'hostname'],
    [{ env: 'A=1' }, 'env'],
    [[], 'body'],
  ])('%j is refused, naming %s', (json, field) => {
    expect(fieldsOf(() => decodeContainerSpec(json))).toEqual([field])
  })

  it.each<[unknown, string]>([
    [{}, 'path'],
    [{ path: '' }, 'path'],
    [{ path: 'a\0b' }, 'path'],
    [{ path: 'a', id: 'a/b' }, 'id'],
    [{ path: 'a', args: [7] }, 'args[0]'],
    [{ path: 'a', rlimits: { nofile: -1 } }, 'rlimits.nofile'],
    [{ path: 'a', tty: true }, 'tty'],
    [{ path: 'a', tty: { window_size: { columns: -1 } } }, 'tty.window_size.columns'],
    [{ path: 'a', bind_mounts: [{ src_path: '/a', dst_path: '/b' }] }, 'bind_mounts'],
  ])('of a process, %j, is refused, naming %s', (json, field) => {
    expect(fieldsOf(() => decodeProcessSpec(json))).toEqual([field])
  })

  it.each<[unknown, ProcessSpec]>([
    [
      { path: 'a', tty: {} },
      { path: 'a', tty: true },
    ],
    [
      { path: 'a', tty: { window_size: { columns: 80, rows: 24 } } },
      { path: 'a', tty: { columns: 80, rows: 24 } },
    ],
    [
      { path: 'a', image: { uri: 'x' }, limits: {} },
      { path: 'a', image: { uri: 'x' }, limits: {} },
    ],
    [{ path: 'a', limits: { memory_limits: { limit_in_bytes: 5 } } }, { path: 'a' }],
    [
      { path: 'a', rlimits: { Nofile: 30 } },
      { path: 'a', rlimits: { nofile: 30 } },
    ],
  ])('of a process, %j, is %j', (json, spec) => {
    expect(decodeProcessSpec(json)).toEqual(spec)
  })
})

describe('limits', () => {
  it('in a change keep their zeros, which lift', () => {
    const change = { memory_limits: { limit_in_bytes: 0 }, cpu_limits: { quota_millis: 0 }, pid_limits: {} }
    expect(decodeLiveLimits(change)).toEqual({ memory: { limitBytes: 0 }, cpu: { quotaMillis: 0 } })
  })

  it('are answered with every field, none as 0', () => {
    expect(ONE_LIMIT.disk({})).toEqual({ inode_soft: 0, inode_hard: 0, byte_soft: 0, byte_hard: 0, scope: 0 })
    expect(ONE_LIMIT.memory({ memory: { limitBytes: 5 } })).toEqual({ limit_in_bytes: 5 })
  })

  it('beyond Garden are named, so that no foreign server ignores them unsaid', () => {
    const mount = { srcPath: '/a', dstPath: '/b', mode: 'ro' as const }
    expect(extensionsOf({ handle: 'a', bindMounts: [mount], limits: { cpu: { weight: 5 } } })).toEqual([])
    expect(
      extensionsOf({
        hostname: 'h',
        noNewPrivileges: false,
        limits: { io: {}, cpu: { quotaMillis: 5 } },
        bindMounts: [mount, { ...mount, isIdmapped: true }],
      }),
    ).toEqual([
      'bind_mounts.idmapped',
      'no_new_privileges',
      'hostname',
      'limits.cpu_limits.quota_millis',
      'limits.io_limits',
    ])
  })
})

describe('an entitlement', () => {
  it('is the share of the machine over the age', () => {
    const metrics = decodeMetrics({ Age: 1_000_000_000 })
    // 1024 shares worth 0.1 per cent of a core each: 1.024 cores for a second
    expect(metricsToWire(metrics, { shares: 1024, perShare: 0.1 })).toMatchObject({ CPUEntitlement: 1_024_000_000 })
    expect(metricsToWire(metrics)).toMatchObject({ CPUEntitlement: 0, Age: 1_000_000_000 })
  })
})

function fieldsOf(decode: () => unknown): string[] {
  try {
    decode()
  } catch (error) {
    if (error instanceof InvalidSpecError) return Object.keys(error.fields ?? {})
  }
  throw new Error('it was not refused')
}
