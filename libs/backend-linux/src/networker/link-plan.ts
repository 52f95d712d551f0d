import type { HomeNetwork } from './plan.js'

/** `ip -batch` lines for the pair of one container, one end put straight into its network namespace. Pure. */
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
