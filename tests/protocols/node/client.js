// A Ropeway client in another language, written from docs/protocol.md alone: the socket by hand, MessagePack
// from a package. Usage: node client.js ADDRESS [KEY SECRET]; ADDRESS is HOST:PORT or a path.
// It prints what it saw as one line of JSON, and exits with 1 if the daemon does not keep to the document.

"use strict";

const assert = require("node:assert/strict");
const crypto = require("node:crypto");
const net = require("node:net");
const { encode, decode } = require("@msgpack/msgpack");

const HELLO = 0, PING = 1, CREATE = 10, DELETE_QUEUE = 11, LIST = 12, ATTRIBUTES = 13;
const SEND = 20, RECEIVE = 21, DELETE = 22, CHANGE = 23;

class RopewayError extends Error {
  constructor([code, message, field]) {
    super(`${code}: ${message}`);
    this.code = code;
    this.field = field;
  }
}

class Connection {
  constructor(address) {
    const at = /^([^/]*):(\d+)$/.exec(address);
    this.socket = at ? net.connect(Number(at[2]), at[1]) : net.connect(address);
    this.held = Buffer.alloc(0);
    this.waiting = new Map();
    this.lastId = 0;
    this.greeting = new Promise((resolve, reject) => this.waiting.set(0, { resolve, reject }));
    this.socket.on("data", (data) => this.feed(data));
    this.socket.on("error", (error) => this.end(error));
    this.socket.on("close", () => this.end(new Error("the daemon closed the connection")));
  }

  feed(data) {
    this.held = Buffer.concat([this.held, data]);
    while (this.held.length >= 4 && this.held.length >= 4 + this.held.readUInt32BE(0)) {
      const end = 4 + this.held.readUInt32BE(0);
      const [id, status, result] = decode(this.held.subarray(4, end));
      this.held = this.held.subarray(end);
      const { resolve, reject } = this.waiting.get(id);
      this.waiting.delete(id);
      if (status === 0) resolve(result);
      else reject(new RopewayError(result));
    }
  }

  end(error) {
    for (const { reject } of this.waiting.values()) reject(error);
    this.waiting.clear();
  }

  call(action, parameters = {}) {
    const id = ++this.lastId;
    const payload = encode([id, action, parameters]);
    const header = Buffer.alloc(4);
    header.writeUInt32BE(payload.length, 0);
    this.socket.write(Buffer.concat([header, payload]));
    return new Promise((resolve, reject) => this.waiting.set(id, { resolve, reject }));
  }

  async hello(key, secret) {
    const greeting = await this.greeting;
    assert.equal(greeting.protocol, "ropeway");
    assert.ok(greeting.versions[0] <= 1 && greeting.versions[1] >= 1);
    if (key === undefined) return [greeting, await this.call(HELLO, { version: 1, client: "node/1" })];
    const nonce = crypto.randomBytes(32);
    const prove = (side, first, second) =>
      crypto.createHmac("sha256", secret).update(`ropeway ${side}\0`).update(first).update(second).update(key).digest();
    const proof = prove("client", greeting.nonce, nonce);
    const answer = await this.call(HELLO, { version: 1, client: "node/1", key, nonce, proof });
    assert.ok(answer.proof && crypto.timingSafeEqual(prove("server", nonce, greeting.nonce), answer.proof));
    return [greeting, answer];
  }
}

async function fails(call, code, field) {
  await assert.rejects(call, (error) => error instanceof RopewayError && error.code === code && error.field === field);
}

async function main(address, key, secret) {
  const broker = new Connection(address);
  const [greeting, hello] = await broker.hello(key, secret);
  assert.deepEqual(await broker.call(PING), {});

  const queue = "from-node";
  const created = await broker.call(CREATE, { queue, attributes: { visibility_timeout: 60000 } });
  assert.equal(created.created, true);
  assert.equal(created.arn, `arn:aws:sqs:${hello.region}:${hello.account}:${queue}`);
  assert.equal((await broker.call(CREATE, { queue })).created, false);
  await fails(broker.call(CREATE, { queue, attributes: { delay: 5 } }), "QueueNameExists", "attributes.delay");
  await fails(broker.call(RECEIVE, { queue, wait: 20001 }), "InvalidParameterValue", "wait");
  await fails(broker.call(RECEIVE, { queue: "nowhere" }), "QueueDoesNotExist", "queue");
  await fails(broker.call(4565), "InvalidAction", null);

  // A long poll does not block what comes after it on the same connection.
  const poll = broker.call(RECEIVE, { queue, wait: 20000 });
  assert.deepEqual((await broker.call(LIST)).queues, [queue]);
  const bytes = Buffer.from([0, 255, 128]);
  const attributes = { lang: ["String", "日本語"], raw: ["Binary", bytes] };
  const [sent] = await broker.call(SEND, { queue, entries: [{ body: "grüße", attributes }] });
  const [[id, handle, body, sentAt, count, firstAt, got]] = await poll;
  assert.deepEqual([...id], [...sent]);
  assert.equal(body, "grüße");
  assert.equal(count, 1);
  assert.ok(sentAt > 1.6e12 && firstAt >= sentAt);
  assert.equal(got.lang[1], "日本語");
  assert.deepEqual([...got.raw[1]], [...bytes]);

  // Entries of a batch succeed or fail one by one.
  const entries = [{ body: bytes }, { body: "" }, { body: "later", delay: 900000 }];
  const results = await broker.call(SEND, { queue, entries });
  assert.deepEqual(results.map(Array.isArray), [false, true, false]);
  assert.equal(results[1][2], "entries[1].body");
  const counts = await broker.call(ATTRIBUTES, { queue });
  assert.deepEqual([counts.visible, counts.in_flight, counts.delayed], [1, 1, 1]);

  assert.deepEqual(await broker.call(CHANGE, { queue, entries: [{ handle, visibility_timeout: 0 }] }), [null]);
  const again = await broker.call(RECEIVE, { queue, max_messages: 10, wait: 1000 });
  assert.deepEqual(again.map((message) => message[4]), [2, 1]);
  assert.deepEqual([...again[1][2]], [...bytes]);
  const handles = [...again.map((message) => message[1]), Buffer.from("no handle")];
  const deleted = await broker.call(DELETE, { queue, handles });
  assert.deepEqual(deleted.slice(0, 2), [null, null]);
  assert.equal(deleted[2][0], "ReceiptHandleIsInvalid");
  assert.deepEqual(await broker.call(RECEIVE, { queue }), []);
  await broker.call(DELETE_QUEUE, { queue });

  broker.socket.end();
  console.log(JSON.stringify({ server: greeting.server, keys: greeting.keys, account: hello.account }));
}

main(...process.argv.slice(2)).catch((error) => {
  console.error(error);
  process.exit(1);
});
