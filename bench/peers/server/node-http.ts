import { createServer } from 'node:http'
import { HEALTH } from '../work.ts'

const text = JSON.stringify(HEALTH)

createServer((request, response) => {
  const isHealth = request.method === 'GET' && request.url === '/health'
  const body = isHealth ? text : '{}'
  response.writeHead(isHealth ? 200 : 404, { 'content-type': 'application/json; charset=utf-8', 'content-length': Buffer.byteLength(body) }).end(body)
}).listen(Number(process.env['PORT']), '127.0.0.1')
