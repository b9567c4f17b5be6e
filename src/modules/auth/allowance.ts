import { networkOf } from '../../shared/network.ts'
import type { Limit } from './code-repository.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR

/**
 * How many codes may be requested for one address, in total, from each network (an IPv4 address, an IPv6 /64), and from
 * each site (an IPv6 /48). One stranger cannot use up an address's limit: a site's leaves the owner a network's. All
 * strangers together mail it at most 30 times a day. With five tries per code, this also bounds guessing.
 */
export const CODE_LIMITS = {
  address: [{ window: HOUR, max: 15 }, { window: DAY, max: 30 }],
  network: [{ window: HOUR, max: 5 }, { window: DAY, max: 10 }],
  site: [{ window: HOUR, max: 10 }, { window: DAY, max: 20 }]
} as const satisfies Record<string, readonly Limit[]>

/** The site of a network: what one holder of IPv6 addresses commonly gets, 65,536 networks. An IPv4 address has none. */
export const siteOf = (network: string): string | undefined => network.endsWith('/64') ? networkOf(network.slice(0, -'/64'.length), 48) : undefined

/** The mailbox that an address most likely belongs to: the address without its plus tag. Used for counting only. */
export const mailboxOf = (email: string): string => email.replace(/\+[^@]*(?=@)/, '')

/** Providers so large that many of their users may register at once. */
const BIG_PROVIDERS = new Set([
  'aol.com', 'gmail.com', 'gmx.de', 'gmx.net', 'googlemail.com', 'hotmail.com', 'icloud.com', 'live.com', 'mail.ru', 'me.com', 'msn.com', 'naver.com',
  'orange.fr', 'outlook.com', 'proton.me', 'protonmail.com', 'qq.com', 't-online.de', 'web.de', 'yahoo.co.jp', 'yahoo.com', 'yandex.ru', '163.com'
])

/** How many codes one recipient domain may get in a rate-limit window, as a multiple of one client's limit. Counted in each process. */
export const domainFactor = (domain: string): number => BIG_PROVIDERS.has(domain) ? 200 : 20
