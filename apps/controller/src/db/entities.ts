import { App } from '../app/app.entity.js'
import { ConfigVar } from '../app/config-var.entity.js'
import { Formation } from '../app/formation.entity.js'
import { Token } from '../auth/token.entity.js'
import { Build } from '../build/build.entity.js'
import { Deployment } from '../deploy/deployment.entity.js'
import { EventRow } from '../event/event.entity.js'
import { RegistryCredential } from '../image/registry-credential.entity.js'
import { Instance } from '../instance/instance.entity.js'
import { InstanceStatusRow } from '../instance/instance-status.entity.js'
import { Node } from '../node/node.entity.js'
import { Push } from '../push/push.entity.js'
import { Release } from '../release/release.entity.js'
import { Domain } from '../route/domain.entity.js'
import { RouteRow } from '../route/route.entity.js'
import { Router } from '../route/router.entity.js'
import { Setting } from '../settings/setting.entity.js'
import { Team } from '../team/team.entity.js'
import { Leader } from './leader.entity.js'
import { Revision } from './revision.entity.js'

/** Every entity of the controller, for the data source. */
export const entities = [
  App,
  Build,
  ConfigVar,
  Deployment,
  Domain,
  EventRow,
  Formation,
  Instance,
  InstanceStatusRow,
  Leader,
  Node,
  Push,
  RegistryCredential,
  Release,
  Revision,
  RouteRow,
  Router,
  Setting,
  Team,
  Token,
]
