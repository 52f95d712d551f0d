import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { buildRig, exampleFiles, type BuildRig, type Pushed } from './support/build-rig.js'

let rig: BuildRig
beforeAll(async () => {
  rig = await buildRig('10.222.240.0/22')
})
afterAll(async () => await rig?.close())

const succeeded = ({ result, log }: Pushed): Extract<Pushed['result'], { outcome: 'succeeded' }> => {
  if (result.outcome !== 'succeeded') throw new Error(`${result.reason}: ${result.message}\n${log}`)
  return result
}

describe('a Node app with a lock file', () => {
  it('is built', async () => {
    const files = exampleFiles('node-express')
    const first = await rig.build(files)
    console.log(first.log, first.tookMs, JSON.stringify(first.result))
    const image = succeeded(first).image
    for (let i = 0; i < 4; i++) {
      const next = await rig.build({ ...files, 'server.js': files['server.js'] + `// ${i}\n` }, { previousImage: image })
      console.log(next.log, next.tookMs, JSON.stringify(next.result))
    }
    console.log(await rig.runIn(image, ['/cnb/lifecycle/launcher', '--', 'sh', '-c', 'env; ls -la /workspace/ /layers; id; timeout 1 node server.js'], ['PORT=9000']))
  })
})
