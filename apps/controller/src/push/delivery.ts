import { Inject, Injectable } from '@nestjs/common'
import type { DataSource } from 'typeorm'
import { assertNever, CroftError, failpoint, type Clock } from '@croft/kit'
import { DockerfileError, parseDockerfile } from '@croft/oci'
import { choiceLine, chooseStack, DEFAULT_STACK, expiryWarning } from '@croft/stacks'
import { ConfigStore } from '../app/config-store.js'
import type { Build } from '../build/build.entity.js'
import { BuildService, type BuildEnd } from '../build/build.service.js'
import { chooseBuilder, type Builder, type BuilderChoice, type BuilderRules } from '../build/choose-builder.js'
import { WishFileReader } from '../build/wish-files.js'
import { DeployService } from '../deploy/deploy.service.js'
import type { Deployment } from '../deploy/deployment.entity.js'
import { DeploymentActive } from '../deploy/errors.js'
import { ImageImport } from '../image/image-import.js'
import { processesOf } from '../image/image-process.js'
import { ImageNotPublished, PublishedImages } from '../image/published-images.js'
import type { Release } from '../release/release.entity.js'
import { ReleaseService, type NewRelease } from '../release/release.service.js'
import { SettingsService } from '../settings/settings.service.js'
import { CLOCK, DATA_SOURCE } from '../tokens.js'
import { missingText, planEnv, type EnvPlan } from './app-env.js'
import { commitTree } from './commit-tree.js'
import { BuiltRefused, LEFT, type PushJob } from './push-job.js'
import { PushRefused } from './refusal.js'
import { duration, named } from './text.js'

/** What is released: an image, and how to run it. */
interface Built {
  image: string
  processTypes: NewRelease['processTypes']
  /** Config vars the image needs a value of. */
  generatedConfig?: readonly string[] | undefined
  /** The build that made the image; null when nobody knows it. */
  buildId: string | null
}

type Chosen = Extract<BuilderChoice, { kind: 'chosen' }>

/** The reference of the builder image that built; null when none did. */
function builderImageOf({ result }: Build): string | null {
  return result?.outcome === 'succeeded' ? (result.builderImage?.reference ?? null) : null
}

/** The process type that is a command before traffic, not a process. */
const RELEASE_TYPE = 'release'
const RELEASE_NOT_RUN = 'the release command of the Procfile is not run by this version of Croft'

/** While another deployment of the app is under way, ms. */
const RETRY_MS = 250

/** A build that was asked for is a push that moves no ref. */
const movesRef = ({ command }: PushJob): boolean => command.oldValue !== command.newValue

/** Where a release comes from, as people read it. */
function descriptionOf(job: PushJob): string {
  const { folder, rebuild } = job.options
  if (folder !== undefined) return `${rebuild === true ? 'Build' : 'Deploy'} folder ${folder} by its Dockerfile`
  return `${movesRef(job) ? 'Push' : 'Build'} ${job.command.newValue.slice(0, 7)}`
}

/** The way of an accepted push: commit → image → release → deployment. */
@Injectable()
export class Delivery {
  constructor(
    @Inject(DATA_SOURCE) private readonly dataSource: DataSource,
    @Inject(BuildService) private readonly builds: BuildService,
    @Inject(ReleaseService) private readonly releases: ReleaseService,
    @Inject(DeployService) private readonly deploys: DeployService,
    @Inject(SettingsService) private readonly settings: SettingsService,
    @Inject(ImageImport) private readonly images: ImageImport,
    @Inject(ConfigStore) private readonly config: ConfigStore,
    @Inject(PublishedImages) private readonly published: PublishedImages,
    @Inject(WishFileReader) private readonly wishFiles: WishFileReader,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /**
   * Resolves with the release once it serves. An aborted signal ends whatever is under way.
   * @throws PushRefused
   */
  async run(job: PushJob): Promise<Release> {
    const env = await this.#planEnv(job)
    const choice = builderOf(job, await this.settings.all())
    const image = choice.builder === 'buildpacks' ? choice.image : null
    const isOnStack = choice.builder === 'buildpacks' && image === null
    const stack = isOnStack ? await this.#chooseStack(job) : DEFAULT_STACK
    const wanted = { stack, builder: choice.builder, image }
    const built = (await this.#reused(job, wanted)) ?? (await this.#build(job, stack, choice))
    await this.#publish(job, built)
    failpoint('build-succeeded')
    if (job.abandoned.aborted) throw new PushRefused(LEFT)
    const release: NewRelease = {
      app: job.app,
      image: built.image,
      processTypes: built.processTypes,
      generatedConfig: [...(built.generatedConfig ?? []), ...env.generated],
      givenConfig: env,
      checks: job.manifest.checks,
      formation: job.manifest.formation,
      commit: job.options.folder === undefined ? job.command.newValue : null,
      description: descriptionOf(job),
      author: job.author,
      pushId: job.id,
    }
    const { released, deployment } = await this.#release(job, release)
    await this.#await(job, deployment, built)
    failpoint('deployment-succeeded')
    return released
  }

  /** The config vars that app.json gives, with what is missing and what of it means nothing here. @throws PushRefused */
  async #planEnv({ app, manifest, output }: PushJob): Promise<EnvPlan> {
    for (const line of manifest.ignored) output.warning(line)
    const isFirst = app.currentRelease === null
    const present = manifest.env.length === 0 ? [] : await this.config.list(app)
    const plan = planEnv(manifest.env, new Set(present.map(({ name }) => name)), isFirst)
    if (plan.missing.length > 0) {
      const { cause, suggestion } = missingText(plan.missing, app.name)
      if (isFirst)
        throw new PushRefused({ reason: 'config-missing', cause, suggestion: `${suggestion}, then push again` })
      output.warning(`${cause}; ${suggestion}`)
    }
    const given = [...Object.keys(plan.defaults), ...Object.keys(plan.synced), ...plan.generated]
    if (given.length > 0) output.step(`Setting config vars of app.json: ${named(given.join(', '), 300)}`)
    return plan
  }

  /** Before it is released, so that every node can pull it. @throws BuiltRefused */
  async #publish(job: PushJob, { image, buildId }: Built): Promise<void> {
    const startedAt = this.clock.monotonic()
    try {
      const published = await this.published.publish(job.app.id, image, job.abandoned)
      if (published?.isNew !== true) return
      const took = duration(this.clock.monotonic() - startedAt)
      job.output.step(`Publishing the image in ${published.address}  ${took}`)
    } catch (error) {
      if (job.abandoned.aborted) throw new PushRefused(LEFT)
      if (!(error instanceof ImageNotPublished)) throw error
      throw new BuiltRefused({ reason: 'registry', cause: error.title, suggestion: error.suggestion ?? '' }, buildId)
    }
  }

  /** The stack to build on, with the lines that say why and how long it lives. @throws PushRefused */
  async #chooseStack(job: PushJob): Promise<string> {
    const wanted = job.runtime?.wanted ?? null
    const choice = chooseStack(job.app.settings.stack ?? null, wanted === null ? [] : [wanted])
    if (choice.kind !== 'chosen') {
      throw new PushRefused({ reason: 'stack', cause: choice.message, suggestion: choice.remedy })
    }
    const line = choiceLine(choice)
    if (line !== null) job.output.step(line)
    const today = new Date(this.clock.now()).toISOString().slice(0, 'YYYY-MM-DD'.length)
    const warning = expiryWarning(choice.stack, job.runtime?.runtime ?? null, today)
    if (warning !== null) {
      const suggestion = 'croft stack lists the stacks that are kept up'
      if ((await this.settings.get('expiredStacks')) === 'refuse') {
        throw new PushRefused({ reason: 'stack-expired', cause: warning, suggestion })
      }
      job.output.warning(warning)
    }
    return choice.stack.id
  }

  async #await(job: PushJob, deployment: Deployment, built: Built): Promise<void> {
    const end = await this.deploys.wait(deployment.id, {
      onLine: (line) => job.output.line(line),
      signal: job.abandoned,
    })
    if (end.state === 'canceled') throw new PushRefused({ ...LEFT, cause: 'the deployment was canceled' })
    if (end.state !== 'failed') return
    for (const line of end.lastLines) job.output.detail(line)
    const refusal = { reason: 'deployment', cause: end.cause, suggestion: end.suggestion }
    throw new BuiltRefused(refusal, built.buildId)
  }

  /** Release and deployment in one transaction, once no other one of the app is under way, for example after `config:set`. */
  async #release(job: PushJob, wanted: NewRelease): Promise<{ released: Release; deployment: Deployment }> {
    let hasSaid = false
    for (;;) {
      try {
        const begun = await this.dataSource.transaction(async (manager) => {
          const released = await this.releases.create(wanted, manager)
          return { released, deployment: await this.deploys.start(released, { pushId: job.id }, manager) }
        })
        failpoint('release-created')
        job.output.step(`Releasing v${begun.released.version}`)
        if (RELEASE_TYPE in wanted.processTypes) job.output.detail(RELEASE_NOT_RUN)
        return begun
      } catch (error) {
        if (!(error instanceof DeploymentActive)) throw error
        if (!hasSaid) job.output.detail(`waiting: ${error.title}`)
        hasSaid = true
      }
      if (job.abandoned.aborted) throw new PushRefused(LEFT)
      await this.clock.sleep(RETRY_MS, job.abandoned).catch(() => undefined)
    }
  }

  /** The image of the running release when it was made of the same tree, and nobody asked for a build. */
  async #reused(
    job: PushJob,
    wanted: { stack: string; builder: Builder; image: string | null },
  ): Promise<Built | undefined> {
    if (job.build !== 'if-needed') return undefined
    const running = await this.releases.current(job.app)
    if (running === null || running.image === null) return undefined
    const build = await this.builds.ofImage(job.app.id, running.image)
    const isSameStack = build === null || (build.stack === wanted.stack && builderImageOf(build) === wanted.image)
    if (build !== null && builderOfBuild(build) !== wanted.builder) return undefined
    const tree = build?.tree ?? (await this.#treeOf(job, running))
    const changedAt = job.app.settings.buildpacksChangedAt
    const isSameBuild = changedAt === undefined || (build !== null && build.createdAt.toISOString() > changedAt)
    if (!isSameStack || !isSameBuild || tree !== job.tree) return undefined
    job.output.step(`Source unchanged: image of v${running.version} is used again`)
    return { image: running.image, processTypes: running.processTypes, buildId: build?.id ?? null }
  }

  /** What a release was made of, where its build is not known any more; undefined when that was nothing of git's. */
  async #treeOf(job: PushJob, { commit }: Release): Promise<string | undefined> {
    if (commit === null) return undefined
    return commitTree(job.repository, commit, job.app.settings.sourceDir ?? null)
  }

  async #build(job: PushJob, stack: string, choice: Chosen): Promise<Built> {
    if (choice.line !== null) job.output.step(choice.line)
    this.wishFiles.keep(job.repository, job.tree, job.wishFiles)
    const build = await this.builds.create({
      app: job.app,
      pushId: job.id,
      commit: job.command.newValue,
      tree: job.tree,
      stack,
      isClean: job.build === 'clean',
    })
    const end = await this.builds.wait(build.id, {
      onLine: (line) => job.output.line(line),
      onWaiting: (why) => job.output.step(why),
      signal: job.abandoned,
    })
    const built = builtOf(end)
    if (end.kind !== 'succeeded' || end.result.builder !== 'dockerfile') return built
    const procfile = choice.builder === 'dockerfile' ? choice.procfile : new Map<string, string>()
    return { ...built, processTypes: await this.#processesOf(job, built, procfile) }
  }

  /** What a Dockerfile's image and the Procfile beside it say of how it is run. @throws PushRefused */
  async #processesOf(
    job: PushJob,
    { image, buildId }: Built,
    procfile: ReadonlyMap<string, string>,
  ): Promise<Built['processTypes']> {
    try {
      const { config } = await this.images.ofApp(job.app.id, image)
      const { processTypes, warnings } = processesOf(config, { nodeArch: process.arch, isBuilt: true, procfile })
      for (const warning of warnings) job.output.warning(warning)
      return processTypes
    } catch (error) {
      if (!(error instanceof CroftError)) throw error
      const suggestion = error.suggestion ?? 'change the Dockerfile, then commit and push again'
      throw new BuiltRefused({ reason: 'dockerfile', cause: error.title, suggestion }, buildId)
    }
  }
}

function builderOfBuild({ result }: Build): Builder {
  return (result?.outcome === 'succeeded' ? result.builder : undefined) ?? 'buildpacks'
}

/** What builds a push. @throws PushRefused when that is a Dockerfile that is none */
function builderOf(job: PushJob, rules: BuilderRules): Chosen {
  const choice = chooseBuilder(job.wishFiles, job.app, rules, job.options.folder)
  if (choice.kind === 'missing') {
    throw new PushRefused({ reason: 'dockerfile', cause: choice.cause, suggestion: choice.suggestion })
  }
  if (choice.builder === 'buildpacks') return choice
  try {
    parseDockerfile(choice.text)
    return choice
  } catch (error) {
    if (!(error instanceof DockerfileError)) throw error
    const { title, suggestion = '' } = error
    throw new PushRefused({ reason: 'dockerfile', cause: named(title, 300), suggestion })
  }
}

function builtOf(end: BuildEnd): Built {
  switch (end.kind) {
    case 'succeeded':
      return {
        image: end.result.image,
        processTypes: end.result.processTypes,
        generatedConfig: end.result.generatedConfig,
        buildId: end.build.id,
      }
    case 'canceled':
      throw new BuiltRefused({ ...LEFT, cause: end.build.message ?? 'the build was canceled' }, end.build.id)
    case 'failed':
      throw new BuiltRefused({ reason: end.reason, cause: end.message, suggestion: end.suggestion }, end.build.id)
    default:
      return assertNever(end)
  }
}
