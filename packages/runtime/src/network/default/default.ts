import { hostNetwork } from '../host-network.ts'
import { hostsFile } from '../hosts-file.ts'
import { asksServerOfContainer, reachableResolvConf } from '../resolv-conf.ts'
import { machineAddress } from '../machine-address.ts'
import type { Network, NetworkOffer } from '../types.ts'

const flagPool = 4

const containerServer =
  "this container's server of names is on its loopback (127.0.0.11), where a network of their own does not reach it"

/**
 * What Docker gives: a network of the step's own, joined to the host's by NAT as root, by pasta as a user (native/network). Where none
 * can be made it is the host's, and the notice says why.
 */
export async function open(ask: () => Promise<NetworkOffer>): Promise<Network> {
  const { kind, reason, resolver } = await ask()
  if (kind === 'host') return { ...hostNetwork, notice: hostNotice(reason) }
  if (resolver === undefined && asksServerOfContainer()) return { ...hostNetwork, notice: hostNotice(containerServer) }
  return { kind, stepFlags: flagPool, hosts: natHosts, resolvConf: () => reachableResolvConf(resolver) }
}

/** Loopback is the step's own here. */
function natHosts(hostname: string, extra: readonly (readonly [string, string])[]): string {
  return hostsFile(
    hostname,
    extra,
    extra.some(([address]) => address === 'host-gateway') ? machineAddress() : undefined,
  )
}

function hostNotice(reason: string): string {
  return `network: steps have the host's, without raw sockets and ports below 1024, as ${reason}${remedy(reason)}`
}

function remedy(reason: string): string {
  const [, setting] = /^(\S*forward\S*) is 0$/.exec(reason) ?? []
  const line = setting === undefined ? (pastaRemedy(reason) ?? forwardingRules(reason)) : `sysctl -w ${setting}=1`
  return line === undefined ? '' : `; what gives them one of their own: ${line}`
}

function pastaRemedy(reason: string): string | undefined {
  if (reason === 'there is no program pasta') return 'apt-get install passt'
  return /\/dev\/net\/tun|tun socket/.test(reason) ? 'a /dev/net/tun that the user may open' : undefined
}

/** What lets through what steps send, and the answers, by the tool that made each chain. The words are those of native/network. */
function forwardingRules(reason: string): string | undefined {
  if (!reason.startsWith('what is forwarded is dropped by ')) return undefined
  const chains = [...reason.matchAll(/chain (\S+) of table (\S+) ([^\s,]+)( \(with DOCKER-USER\))?/g)]
  if (chains.length === 0) return iptablesRules('FORWARD')
  const lines = chains.map(([, chain = '', family = '', table = '', docker]) => {
    const name = `${family} ${table} ${chain}`
    if (name === 'ip filter FORWARD') return iptablesRules(docker === undefined ? chain : 'DOCKER-USER')
    return name === 'inet firewalld filter_FORWARD' ? FIREWALLD_ZONE : nftRules(name)
  })
  return lines.join(' && ')
}

// An interface of that zone forwards to all others; firewalld owns its rules and takes no others.
const FIREWALLD_ZONE = 'firewall-cmd --zone=trusted --add-interface=tsb+'

function iptablesRules(chain: string): string {
  const insert = `iptables -I ${chain}`
  return `${insert} -i tsb+ -j ACCEPT && ${insert} -o tsb+ -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT`
}

function nftRules(chain: string): string {
  const insert = `nft insert rule ${chain}`
  return `${insert} iifname 'tsb*' accept && ${insert} oifname 'tsb*' ct state established,related accept`
}
