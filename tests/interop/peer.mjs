#!/usr/bin/env node
// A live peer around the npm package @signalapp/libsignal-client, for
// tests/interop.rs. It reads one JSON object per line on stdin and writes one
// JSON object per line on stdout. All byte strings are lower-case hex.
//
//   LIBSIGNAL_NODE_MODULES=/path/to/node_modules node peer.mjs
//
// Request  {"id":1,"cmd":"encrypt",...}
// Reply    {"id":1,"ok":true,...}  or  {"id":1,"ok":false,"code":"...","error":"..."}
//
// One process holds any number of parties; each command names one by "as"
// (default "me"). An address is {"name":"<service id or any string>","device":1}.
import { createInterface } from 'node:readline';
import { readFileSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { join } from 'node:path';

const NM = process.env.LIBSIGNAL_NODE_MODULES ?? 'node_modules';
const LIB = join(NM, '@signalapp/libsignal-client');
const S = await import(pathToFileURL(join(LIB, 'dist/index.js')).href);
const VERSION = JSON.parse(readFileSync(join(LIB, 'package.json'), 'utf8')).version;

const hex = (u) => Buffer.from(u).toString('hex');
const un = (h) => {
  if (typeof h !== 'string' || h.length % 2 || !/^[0-9a-fA-F]*$/.test(h)) throw new Error('expected hex, got ' + JSON.stringify(h));
  return new Uint8Array(Buffer.from(h, 'hex'));
};
const addr = (a) => S.ProtocolAddress.new(a.name, a.device);
const key = (a) => `${a.name()}.${a.deviceId()}`;

class Sessions extends S.SessionStore {
  map = new Map();
  async saveSession(n, r) { this.map.set(key(n), hex(r.serialize())); }
  async getSession(n) { const h = this.map.get(key(n)); return h === undefined ? null : S.SessionRecord.deserialize(un(h)); }
  async getExistingSessions(ns) {
    return ns.map((n) => { const h = this.map.get(key(n)); if (h === undefined) throw new Error('no session for ' + key(n)); return S.SessionRecord.deserialize(un(h)); });
  }
}
class Identities extends S.IdentityKeyStore {
  map = new Map();
  constructor(priv, reg) { super(); this.priv = priv; this.reg = reg; }
  async getIdentityKey() { return this.priv; }
  async getLocalRegistrationId() { return this.reg; }
  async saveIdentity(n, k) {
    const h = hex(k.serialize()), old = this.map.get(key(n));
    this.map.set(key(n), h);
    return old === undefined || old === h ? S.IdentityChange.NewOrUnchanged : S.IdentityChange.ReplacedExisting;
  }
  async isTrustedIdentity(n, k) { const old = this.map.get(key(n)); return old === undefined || old === hex(k.serialize()); }
  async getIdentity(n) { const h = this.map.get(key(n)); return h === undefined ? null : S.PublicKey.deserialize(un(h)); }
}
class PreKeys extends S.PreKeyStore {
  map = new Map();
  async savePreKey(i, r) { this.map.set(i, r); }
  async getPreKey(i) { const r = this.map.get(i); if (!r) throw new Error('no pre-key ' + i); return r; }
  async removePreKey(i) { this.map.delete(i); }
}
class SignedPreKeys extends S.SignedPreKeyStore {
  map = new Map();
  async saveSignedPreKey(i, r) { this.map.set(i, r); }
  async getSignedPreKey(i) { const r = this.map.get(i); if (!r) throw new Error('no signed pre-key ' + i); return r; }
}
class KyberPreKeys extends S.KyberPreKeyStore {
  map = new Map();
  async saveKyberPreKey(i, r) { this.map.set(i, r); }
  async getKyberPreKey(i) { const r = this.map.get(i); if (!r) throw new Error('no kyber pre-key ' + i); return r; }
  async markKyberPreKeyUsed() {}
}

const parties = new Map();
const party = (r) => { const p = parties.get(r.as ?? 'me'); if (!p) throw new Error('no such party: ' + (r.as ?? 'me')); return p; };

const commands = {
  // -> {version, node}
  async hello() { return { version: VERSION, node: process.version }; },

  // {as?, name, device, registrationId} -> {identityPublic}
  async create(r) {
    const priv = S.PrivateKey.generate();
    const p = {
      address: addr(r), priv, pub: priv.getPublicKey(), reg: r.registrationId, sessions: new Sessions(),
      identities: new Identities(priv, r.registrationId), preKeys: new PreKeys(), signed: new SignedPreKeys(),
      kyber: new KyberPreKeys(), nextId: 1,
    };
    parties.set(r.as ?? 'me', p);
    return { identityPublic: hex(p.pub.serialize()) };
  },

  // Makes and keeps fresh pre-keys. {as?, oneTime:bool} -> {bundle, secrets}
  async bundle(r) {
    const p = party(r), id = p.nextId++;
    const spk = S.PrivateKey.generate(), spub = spk.getPublicKey(), ssig = p.priv.sign(spub.serialize());
    const kem = S.KEMKeyPair.generate(), kpub = kem.getPublicKey(), ksig = p.priv.sign(kpub.serialize());
    const now = Date.now();
    await p.signed.saveSignedPreKey(id, S.SignedPreKeyRecord.new(id, now, spub, spk, ssig));
    await p.kyber.saveKyberPreKey(id, S.KyberPreKeyRecord.new(id, now, kem, ksig));
    const bundle = {
      name: p.address.name(), device: p.address.deviceId(), registrationId: p.reg, identityKey: hex(p.pub.serialize()),
      signedPreKeyId: id, signedPreKey: hex(spub.serialize()), signedPreKeySignature: hex(ssig),
      kyberPreKeyId: id, kyberPreKey: hex(kpub.serialize()), kyberPreKeySignature: hex(ksig),
      preKeyId: null, preKey: null,
    };
    const secrets = { identityPrivate: hex(p.priv.serialize()), signedPreKeyPrivate: hex(spk.serialize()), kyberPreKeySecret: hex(kem.getSecretKey().serialize()) };
    if (r.oneTime) {
      const opk = S.PrivateKey.generate(), opub = opk.getPublicKey();
      await p.preKeys.savePreKey(id, S.PreKeyRecord.new(id, opub, opk));
      bundle.preKeyId = id; bundle.preKey = hex(opub.serialize());
    }
    return { bundle, secrets };
  },

  // {as?, bundle} -> {}   (the remote address is the bundle's own)
  async processBundle(r) {
    const p = party(r), b = r.bundle;
    const pb = S.PreKeyBundle.new(
      b.registrationId, b.device, b.preKeyId ?? null, b.preKey ? S.PublicKey.deserialize(un(b.preKey)) : null,
      b.signedPreKeyId, S.PublicKey.deserialize(un(b.signedPreKey)), un(b.signedPreKeySignature),
      S.PublicKey.deserialize(un(b.identityKey)), b.kyberPreKeyId, S.KEMPublicKey.deserialize(un(b.kyberPreKey)), un(b.kyberPreKeySignature));
    await S.processPreKeyBundle(pb, addr(b), p.address, p.sessions, p.identities);
    return {};
  },

  // {as?, remote, plaintext} -> {type:2|3, body}
  async encrypt(r) {
    const p = party(r);
    const m = await S.signalEncrypt(un(r.plaintext), addr(r.remote), p.address, p.sessions, p.identities);
    return { type: m.type(), body: hex(m.serialize()) };
  },

  // {as?, remote, type, body} -> {plaintext}
  async decrypt(r) {
    const p = party(r), a = addr(r.remote), body = un(r.body);
    let out;
    if (r.type === S.CiphertextMessageType.PreKey) {
      out = await S.signalDecryptPreKey(S.PreKeySignalMessage.deserialize(body), a, p.address, p.sessions, p.identities, p.preKeys, p.signed, p.kyber);
    } else if (r.type === S.CiphertextMessageType.Whisper) {
      out = await S.signalDecrypt(S.SignalMessage.deserialize(body), a, p.address, p.sessions, p.identities);
    } else throw new Error('decrypt takes type 2 or 3');
    return { plaintext: hex(out) };
  },

  // Raw session record bytes for snapshots and rollback. {as?, remote} -> {record|null}
  async getSession(r) { const p = party(r); return { record: p.sessions.map.get(key(addr(r.remote))) ?? null }; },
  // {as?, remote, record|null} -> {}
  async setSession(r) { const p = party(r), k = key(addr(r.remote)); if (r.record) p.sessions.map.set(k, r.record); else p.sessions.map.delete(k); return {}; },
  // {as?, remote} -> {}
  async archiveSession(r) {
    const p = party(r), a = addr(r.remote), rec = await p.sessions.getSession(a);
    if (!rec) throw new Error('no session'); rec.archiveCurrentState(); await p.sessions.saveSession(a, rec); return {};
  },
  // Forgets the remote identity key that was trusted on first use. {as?, remote} -> {}
  async forgetIdentity(r) { party(r).identities.map.delete(key(addr(r.remote))); return {}; },
  // {as?, remote} -> {exists, hasCurrentState?, localRegistrationId?, remoteRegistrationId?}
  async sessionInfo(r) {
    const p = party(r), rec = await p.sessions.getSession(addr(r.remote));
    if (!rec) return { exists: false };
    if (!rec.hasCurrentState()) return { exists: true, hasCurrentState: false };
    return { exists: true, hasCurrentState: true, localRegistrationId: rec.localRegistrationId(), remoteRegistrationId: rec.remoteRegistrationId() };
  },

  // {as?, message} -> {signature};  {publicKey, message, signature} -> {valid}
  async sign(r) { return { signature: hex(party(r).priv.sign(un(r.message))) }; },
  async verify(r) { return { valid: S.PublicKey.deserialize(un(r.publicKey)).verify(un(r.message), un(r.signature)) }; },

  async quit() { setImmediate(() => process.exit(0)); return {}; },
};

const errCode = (e) => (typeof e?.code === 'number' && S.ErrorCode ? S.ErrorCode[e.code] ?? String(e.code) : (e?.name ?? 'Error'));
const rl = createInterface({ input: process.stdin, crlfDelay: Infinity });
for await (const line of rl) {
  if (!line.trim()) continue;
  let r = {};
  try {
    r = JSON.parse(line);
    if (!Object.hasOwn(commands, r.cmd)) throw new Error('unknown command: ' + r.cmd);
    const out = await commands[r.cmd](r);
    process.stdout.write(JSON.stringify({ id: r.id ?? null, ok: true, ...out }) + '\n');
  } catch (e) {
    process.stdout.write(JSON.stringify({ id: r.id ?? null, ok: false, code: errCode(e), error: String(e?.message ?? e) }) + '\n');
  }
}
