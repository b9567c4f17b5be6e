import type { Limit } from './repository.ts'

const HOUR = 3_600_000
const DAY = 24 * HOUR

/**
 * Codes that may be asked for, for one address in all and by each network (an IPv4 address, an IPv6 /64). One stranger
 * cannot use up the share of an address, and all strangers together mail it no more than 30 times a day; with five
 * tries each, that is also what bounds guessing.
 */
export const CODE_LIMITS = {
  address: [{ window: HOUR, max: 15 }, { window: DAY, max: 30 }],
  network: [{ window: HOUR, max: 5 }, { window: DAY, max: 10 }]
} as const satisfies Record<string, readonly Limit[]>

/** The mailbox that an address most likely is: what follows a plus is the reader's own business. For counting alone. */
export const mailboxOf = (email: string): string => email.replace(/\+[^@]*(?=@)/, '')

/** Providers where so many people have their mailbox that many of them register at once. */
const BIG_PROVIDERS = new Set([
  'aol.com', 'gmail.com', 'gmx.de', 'gmx.net', 'googlemail.com', 'hotmail.com', 'icloud.com', 'live.com', 'mail.ru', 'me.com', 'msn.com', 'naver.com',
  'orange.fr', 'outlook.com', 'proton.me', 'protonmail.com', 'qq.com', 't-online.de', 'web.de', 'yahoo.co.jp', 'yahoo.com', 'yandex.ru', '163.com'
])

/** Codes for one recipient domain in a window of the rate limit, as a multiple of the limit of one client. Counted in each process. */
export const domainFactor = (domain: string): number => BIG_PROVIDERS.has(domain) ? 200 : 20
