import { describe, expect, it } from 'vitest'
import { deviceName } from './io-probe.js'
import { ioCapability, ioControlOf, ioProblem, isWeighedByCost, mountSource, NO_IO_CONTROL, schedulerOf } from './io.js'

const throttled = { device: '8:0', weightFile: null }
const weighed = { device: '8:0', weightFile: 'io.weight' as const }

describe('I/O control', () => {
  it('is what the kernel offers', () => {
    expect([NO_IO_CONTROL, throttled, weighed].map(ioCapability)).toEqual(['none', 'throttle', 'weight'])
  })
  it.each([
    [NO_IO_CONTROL, undefined, null],
    [NO_IO_CONTROL, { weight: 0, readBytesPerSecond: 0 }, null],
    [NO_IO_CONTROL, { writeBytesPerSecond: 1 }, 'an I/O rate'],
    [throttled, { writeBytesPerSecond: 1 }, null],
    [throttled, { weight: 1 }, 'an I/O weight'],
    [weighed, { weight: 1, readBytesPerSecond: 1 }, null],
  ])('%j of %j: %s', (control, asked, problem) => {
    expect(ioProblem(control, asked)).toBe(problem)
  })
  const V1 = ['blkio.throttle.read_bps_device', 'blkio.bfq.weight']
  const V2 = ['io.max', 'io.weight', 'io.bfq.weight']
  it.each([
    [1, 'none [mq-deadline] kyber bfq', V1, '', '8:0', null],
    [1, '[none] mq-deadline', V1, '', '8:0', null],
    [1, 'none mq-deadline [bfq]', V1, '', '8:0', 'blkio.bfq.weight'],
    [1, 'none mq-deadline [bfq]', V1.slice(0, 1), '', '8:0', null],
    [1, '[mq-deadline]', [], '', null, null],
    [2, '[mq-deadline] none', V2, '', '8:0', null],
    [2, '[mq-deadline] none', V2, '8:0 enable=0 ctrl=auto', '8:0', null],
    [2, '[mq-deadline] none', V2, '8:0 enable=1 ctrl=auto', '8:0', 'io.weight'],
    [2, '[bfq] none', V2, '8:0 enable=1 ctrl=auto', '8:0', 'io.bfq.weight'],
    [2, '[bfq] none', ['io.max'], '', '8:0', null],
    [2, '', [], '8:0 enable=1', null, null],
  ] as const)(
    'of version %i with scheduler %s, files %j and cost %j',
    (version, scheduler, files, qos, device, weightFile) => {
      const facts = { version, disk: '8:0', scheduler, files: new Set(files), qos }
      expect(ioControlOf(facts)).toEqual({ device, weightFile })
    },
  )
  it('reads the scheduler in force', () => {
    expect(schedulerOf('none [mq-deadline] kyber bfq \n')).toBe('mq-deadline')
    expect(schedulerOf('')).toBeNull()
  })
  it('sees whether a disk is weighed by cost', () => {
    const qos = '254:0 enable=0 ctrl=auto\n8:0 enable=1 ctrl=user rpct=95.00\n'
    expect(['254:0', '8:0', '7:0'].map((device) => isWeighedByCost(qos, device))).toEqual([false, true, false])
  })
  it('finds the disk behind a mount with a number of its own', () => {
    const mountinfo = '30 1 0:26 /sub / rw - btrfs /dev/sda2 rw\n31 1 8:1 / /boot rw - ext4 /dev/sda1 rw\n'
    expect([mountSource(mountinfo, '0:26'), mountSource(mountinfo, '9:9')]).toEqual(['/dev/sda2', null])
  })
  it.each([
    [0xfe00, '254:0'],
    [0x801, '8:1'],
    [0x1035701, '855:4097'],
  ])('names device %i %s', (device, name) => {
    expect(deviceName(device)).toBe(name)
  })
})
