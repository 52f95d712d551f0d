import type { HomeNetwork } from './plan.js'

/** `ip -batch` lines for the pair of one container. Pure. */

/** On the host: the pair, one end put straight into the container's network namespace. */
export function hostLinkLines(home: HomeNetwork, link: string, address: string, initPid: number): string {
  return [
    `link add name ${link} group ${home.linkGroup} type veth peer name eth0 netns ${initPid}`,
    `address add ${home.gateway}/32 dev ${link}`,
    `link set dev ${link} up`,
    /* the link of who had the address before may not be gone yet */
    `route replace ${address}/32 dev ${link} src ${home.gateway}`,
    '',
  ].join('\n')
}

/** Inside the container's network namespace. */
export function containerLinkLines(home: HomeNetwork, address: string): string {
  return [
    'link set dev lo up',
    `address add ${address}/32 dev eth0`,
    'link set dev eth0 up',
    `route add ${home.gateway}/32 dev eth0 scope link`,
    `route add default via ${home.gateway} dev eth0`,
    '',
  ].join('\n')
}
