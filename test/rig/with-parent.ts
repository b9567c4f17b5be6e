// Loaded into every process that the rig starts: it ends with the test, however that ends. Its input is a pipe that the test holds,
// which the kernel closes even after a kill -9.

process.stdin.on('close', () => process.kill(process.pid, 'SIGKILL')).resume()
// Keeps no process running.
;(process.stdin as NodeJS.ReadStream & { unref (): void }).unref()
