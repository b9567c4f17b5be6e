import { app } from '../express.ts'

app.listen(Number(process.env['PORT']), '127.0.0.1')
