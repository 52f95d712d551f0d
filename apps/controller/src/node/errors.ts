import { CroftError } from '@croft/kit'

/** The node does not exist, or has booted since it joined: it has to join (again). */
export class NodeUnknown extends CroftError {
  constructor(why: string) {
    super({ code: 'node-unknown', status: 404, title: 'this node has to join first', detail: why })
  }
}

/** The hash of the statuses is another one than the controller's: all of them are needed. */
export class SendFull extends CroftError {
  constructor() {
    super({ code: 'send-full', status: 409, title: 'send all statuses', kind: 'user' })
  }
}

/** Every range clashes with what the host routes or another node has. */
export class NoNetwork extends CroftError {
  constructor(name: string, platform: string) {
    super({
      code: 'no-network',
      status: 409,
      title: `no range of ${platform} is free for node ${name}`,
      detail: 'each clashes with a route of the host or is the range of another node',
      suggestion: 'ip route shows what the host routes: take a route away that lies in this range',
    })
  }
}
