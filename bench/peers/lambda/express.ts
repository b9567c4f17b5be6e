import serverless from 'serverless-http'
import { app } from '../express.ts'

export const handler = serverless(app)
