import { Type, type TSchema } from '@sinclair/typebox'

/** The schema of version 1's answer: the article's envelope around `data`. */
export const Envelope = <T extends TSchema>(data: T, title: string) => Type.Object({ success: Type.Literal(true), data }, { title })

/** Version 1's answer around `data`. */
export const success = <T>(data: T) => ({ success: true as const, data })
