// A real AT Protocol personal data server with an in-process, in-memory PLC directory, on loopback.
// usage: node bluesky.mjs <pdsPort> <plcPort>, through run.sh (MODULES_DIR has node_modules); ends when standard input closes.
// It makes one account before it says READY. The command "account <name>" makes the account <name>.test.
// Invariant: it reaches nothing outside this process; the directory it asks is its own.
import crypto from 'node:crypto'
import fs from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import readline from 'node:readline'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const [pdsPort, plcPort] = process.argv.slice(2, 4).map(Number)
const base = `http://localhost:${pdsPort}`
const require = createRequire(path.join(path.resolve(process.env.MODULES_DIR), 'anything.js'))
const data = fs.mkdtempSync(path.join(os.tmpdir(), 'so-bluesky.'))
const removeData = () => fs.rmSync(data, { recursive: true, force: true })
const randomHex = (bytes) => crypto.randomBytes(bytes).toString('hex')
process.env.LOG_ENABLED = 'false'
process.on('exit', removeData)
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.on(signal, () => process.exit(143))

// Neither server can be told an interface, and both would listen on all of them.
const listen = net.Server.prototype.listen
net.Server.prototype.listen = function (target, ...rest) {
  const onLoopback = typeof target === 'object' ? { ...target } : { port: target }
  onLoopback.host ??= '127.0.0.1'
  return listen.call(this, onLoopback, ...rest)
}

// Some of the packages are ES modules only, some CommonJS only.
async function load(name) {
  try {
    return require(name)
  } catch (error) {
    if (!['ERR_REQUIRE_ESM', 'ERR_PACKAGE_PATH_NOT_EXPORTED'].includes(error.code)) throw error
    return import(pathToFileURL(require.resolve(name)).href)
  }
}

async function startServers() {
  const { PlcServer, Database } = await load('@did-plc/server')
  const { PDS, envToCfg, envToSecrets } = await load('@atproto/pds')
  await PlcServer.create({ db: Database.mock(), port: plcPort }).start()
  const settings = {
    devMode: true,
    port: pdsPort,
    hostname: 'localhost',
    dataDirectory: data,
    blobstoreDiskLocation: path.join(data, 'blobs'),
    blobstoreDiskTmpLocation: path.join(data, 'blobs-tmp'),
    // An IP literal is refused as an invalid host name.
    didPlcUrl: `http://localhost:${plcPort}`,
    plcRotationKeyK256PrivateKeyHex: randomHex(32),
    jwtSecret: randomHex(16),
    dpopSecret: randomHex(32),
    adminPassword: randomHex(16),
    serviceHandleDomains: ['.test'],
    inviteRequired: false,
    enableDidDocWithSession: true,
    // The server's own guard would keep it from its directory on loopback.
    disableSsrfProtection: true,
    rateLimitsEnabled: false,
    crawlers: [],
    trustedOAuthClients: [],
  }
  await (await PDS.create(envToCfg(settings), envToSecrets(settings))).start()
}

async function call(method, body, token) {
  const headers = { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) }
  const answer = await fetch(`${base}/xrpc/${method}`, { method: 'POST', headers, body: JSON.stringify(body) })
  const json = await answer.json()
  if (!answer.ok) throw new Error(`${method} answered ${answer.status}: ${json.error} ${json.message}`)
  return json
}

async function makeAccount(name) {
  const handle = `${name}.test`
  const password = randomHex(8)
  const account = await call('com.atproto.server.createAccount', { handle, email: `${name}@mail.test`, password })
  const app = await call('com.atproto.server.createAppPassword', { name: 'product' }, account.accessJwt)
  return `handle=${handle} did=${account.did} password=${password} app_password=${app.password}`
}

const oneLine = (error) => String(error?.message ?? error).replaceAll('\n', ' ').slice(0, 600)

try {
  await startServers()
  console.log(`READY url=${base} plc=http://localhost:${plcPort} ${await makeAccount('alice')}`)
} catch (error) {
  console.log(`FAILED ${oneLine(error)}`)
  process.exit(1)
}
for await (const line of readline.createInterface({ input: process.stdin })) {
  const [command, argument] = line.trim().split(/\s+/)
  if (command !== 'account' || !argument) {
    console.log(`ERROR unknown command ${command}`)
    continue
  }
  try {
    console.log(`OK ${await makeAccount(argument)}`)
  } catch (error) {
    console.log(`ERROR ${oneLine(error)}`)
  }
}
process.exit(0)
