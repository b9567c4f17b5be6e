import { Type } from '@sinclair/typebox'

/** W3C's header, and the field and attribute of the same name: https://www.w3.org/TR/trace-context/#traceparent-header */
const TRACEPARENT_PATTERN = /^(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$/

export const Traceparent = Type.String({ maxLength: 55, pattern: TRACEPARENT_PATTERN.source, description: 'The trace that this belongs to, where traces are on', examples: ['00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'] })

/** The value if it is one. Anything else starts a trace of its own, and is no error: a trace is not worth a request or a mail. */
export const traceparentIn = (value: unknown): string | undefined => typeof value === 'string' && TRACEPARENT_PATTERN.test(value) ? value : undefined
