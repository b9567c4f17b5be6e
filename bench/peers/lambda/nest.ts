import { configure } from '@codegenie/serverless-express'
import { NestFactory } from '@nestjs/core'
import { ExpressAdapter } from '@nestjs/platform-express'
import { AppModule } from '../nest.ts'

// As Nest's page about serverless shows it: the Express adapter, and the app kept between two invocations.
const app = await NestFactory.create(AppModule, new ExpressAdapter(), { logger: ['error'] })
await app.init()

const proxy = configure({ app: app.getHttpAdapter().getInstance() as never })
export const handler = (event: never, context: never) => (proxy as unknown as (event: never, context: never) => unknown)(event, context)
