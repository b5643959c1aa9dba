// What the Go test prepared, and a browser without scripts, as in the Go package
// world: it keeps cookies, follows redirects and fills in the server's forms.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";

const need = (name) => process.env[name] || assert.fail(`${name} is not set: run this through go test`);

export const base = need("CURFEW_BASE"); // also the plain issuer
export const authority = need("CURFEW_AUTHORITY");
export const issuer = need("CURFEW_ISSUER");
export const api = need("CURFEW_API");
const admin = need("CURFEW_ADMIN"); // an access token
const password = need("CURFEW_PASSWORD");
const clock = need("CURFEW_CLOCK"); // the Go test's: lets time pass for somebody
const site = need("CURFEW_SITE_SECRET"), robot = need("CURFEW_ROBOT_SECRET");

export const host = new URL(base).host;
export const desk = "desk";
export const siteApp = { id: "site", secret: site, url: "https://site.fabrikam.example/callback" };
export const mailAPI = { id: "mail-api", secret: need("CURFEW_MAIL_API_SECRET") };
export const vaultApp = { id: "vault", key: need("CURFEW_VAULT_KEY"), thumbprint: need("CURFEW_VAULT_THUMBPRINT"), url: "https://vault.contoso.example/callback" };
export const robotApp = { id: "robot", secret: robot };
export const mailRead = "api://mail/Mail.Read";
export const archiveRead = "api://archive/Archive.Read";
export const archiveAll = "api://archive/.default";
export const mailAll = "api://mail/.default";
export const graphAll = "https://graph.microsoft.com/.default";
export const cp1 = '{"access_token":{"xms_cc":{"values":["CP1"]}}}';

const decode = (s) => s.replace(/&#(\d+);/g, (_, n) => String.fromCodePoint(n)).replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&quot;/g, '"').replace(/&amp;/g, "&");
const attributes = (tag) => Object.fromEntries([...tag.matchAll(/([a-z-]+)(?:="([^"]*)")?/g)].map((m) => [m[1], decode(m[2] ?? "")]));

// People's authenticator apps, as in the Go package.
const apps = new Map();
const base32 = (s) => Buffer.from([...s].map((c) => "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".indexOf(c).toString(2).padStart(5, "0")).join("").match(/.{8}/g).map((b) => parseInt(b, 2)));

function totp(user) {
  const a = apps.get(user);
  a.last = Math.max(a.last + 1, Math.floor(Date.now() / 30000) - 1);
  const b = Buffer.alloc(8);
  b.writeBigUInt64BE(BigInt(a.last));
  const sum = createHmac("sha1", a.secret).update(b).digest();
  return String((sum.readUInt32BE(sum[19] & 15) & 0x7fffffff) % 1e6).padStart(6, "0");
}

// age lets time pass since whatever somebody proved.
export async function age(user, hours) {
  const res = await fetch(`${clock}?user=${user}&hours=${hours}`, { method: "POST" });
  assert.ok(res.ok, await res.text());
  const a = apps.get(user);
  if (a) a.last -= hours * 120;
}

export class Browser {
  asked = 0; // passwords
  agreed = 0; // consents and devices
  coded = 0; // codes of the authenticator app
  #jar = new Map();

  constructor(user) {
    this.user = user;
  }

  // visit goes on until there is no form left, or the way leads out of the server.
  // A loopback address with a port is gone to, because a client listens there.
  async visit(address, code = "") {
    let url = new URL(address), form = null;
    for (let i = 0; i < 20; i++) {
      const ours = url.origin === base;
      if (!ours && !(url.hostname === "localhost" && url.port)) return { url, form };
      const res = await fetch(url, {
        method: form ? "POST" : "GET", body: form, redirect: "manual",
        headers: ours ? { cookie: [...this.#jar].map(([k, v]) => `${k}=${v}`).join("; ") } : {},
      });
      const body = await res.text();
      if (!ours) return { url, form, body };
      for (const line of res.headers.getSetCookie()) {
        const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
        if (value === "" || /max-age=(0|-)/i.test(line)) this.#jar.delete(name);
        else this.#jar.set(name, value);
      }
      assert.ok(res.status < 400, `${url} answered ${res.status}: ${body}`);
      const to = res.headers.get("location");
      if (to) {
        url = new URL(to, url);
        form = null;
        continue;
      }
      const key = /id="key"[^>]*>([^<]*)</.exec(body);
      if (key) apps.set(this.user, { secret: base32(key[1].replaceAll(" ", "")), last: 0 });
      const f = /<form\b([^>]*)>(.*?)<\/form>/s.exec(body);
      const on = /<a id="go-on"[^>]*href="([^"]*)"/.exec(body);
      if (!f && on) {
        url = new URL(decode(on[1]), url);
        form = null;
        continue;
      }
      if (!f) return { url, form: null, body };
      url = new URL(attributes(f[1]).action, url);
      form = this.#fill(f[2], code);
    }
    assert.fail("one page after another");
  }

  async device(address, code) {
    const end = await this.visit(address, code);
    assert.match(end.body, /Device connected/);
  }

  // fill presses, of several buttons, the one with its user's name on it, else
  // the first, which is the one that lets in.
  #fill(inside, code) {
    const out = new URLSearchParams();
    for (const [, tag] of inside.matchAll(/<input\b([^>]*)>/g)) {
      const a = attributes(tag);
      if (!a.name || "disabled" in a || (a.type === "checkbox" && !("checked" in a))) continue;
      if (a.name === "username") out.set(a.name, this.user);
      else if (a.name === "password") {
        this.asked++;
        out.set(a.name, password);
      } else if (a.name === "code" && a.type !== "hidden") {
        this.coded++;
        out.set(a.name, totp(this.user));
      } else if (a.name === "user_code" && a.type !== "hidden") out.set(a.name, code);
      else out.set(a.name, a.value ?? "");
    }
    const buttons = [...inside.matchAll(/<button\b([^>]*)>(.*?)<\/button>/gs)].map(([, tag, text]) => ({ ...attributes(tag), text })).filter((b) => b.name);
    if (buttons.length) {
      const press = buttons.find((b) => b.text.includes(this.user)) ?? (buttons[0].name === "account" ? buttons.at(-1) : buttons[0]);
      if (press.name === "decision") this.agreed++;
      out.set(press.name, press.value);
    }
    return out;
  }
}

const get = (url, token) => fetch(url, { headers: { authorization: `Bearer ${token}` } });

// opens calls a guarded API, the mail or the archive behind it, with a token that
// must be good.
export async function opens(path, token) {
  const res = await get(`${api}/${path}`, token);
  assert.equal(res.status, 200, `the API refuses: ${res.headers.get("www-authenticate")}`);
  return res.json();
}

// shuts waits until the API refuses a token, which must be soon, and returns the
// challenge.
export async function shuts(path, token) {
  const end = Date.now() + 2000;
  for (;;) {
    const res = await get(`${api}/${path}`, token);
    await res.arrayBuffer();
    if (res.status === 401) return res.headers.get("www-authenticate");
    assert.equal(res.status, 200);
    assert.ok(Date.now() < end, "the API lets a revoked token in for 2 s");
  }
}

export const mailOpen = (token) => opens("mail", token), mailShut = (token) => shuts("mail", token);

// claimsOf reads what a challenge asks for, as JSON.
export function claimsOf(challenge) {
  assert.match(challenge, /error="insufficient_claims"/);
  const text = Buffer.from(/claims="([^"]*)"/.exec(challenge)[1], "base64").toString();
  assert.ok(JSON.parse(text).access_token.nbf.essential);
  return text;
}

async function post(path) {
  const res = await fetch(`${base}/v1.0/${path}`, { method: "POST", headers: { authorization: `Bearer ${admin}` } });
  assert.ok(res.ok, await res.text());
}

async function graph(method, path, body) {
  const res = await fetch(`${base}/v1.0/${path}`, { method, body: body && JSON.stringify(body), headers: { authorization: `Bearer ${admin}`, ...(body && { "content-type": "application/json" }) } });
  const text = await res.text();
  assert.ok(res.ok, text);
  return text && JSON.parse(text);
}

// policy switches a policy on for one person; it returns what takes it away.
export async function policy(user, rest) {
  const { id } = await graph("GET", `users/${user}`);
  const made = await graph("POST", "identity/conditionalAccess/policies", { displayName: "A test", state: "enabled",
    conditions: { users: { includeUsers: [id] }, applications: { includeApplications: ["All"] }, clientAppTypes: ["all"] }, ...rest });
  return { id: made.id, remove: () => graph("DELETE", `identity/conditionalAccess/policies/${made.id}`) };
}

export const terms = async () => (await graph("POST", "agreements", { displayName: "House rules", text: "Close the door." })).id;

export const revoke = (user) => post(`users/${user}/revokeSignInSessions`);
export const revokeApp = (id) => post(`curfew/apps/${id}/revoke`);

const issuedAt = (token) => JSON.parse(Buffer.from(token.split(".")[1], "base64url")).iat;

// sameSecond revokes and signs in again until both fell into one second of the
// clock; every round must work.
export async function sameSecond(user, signIn, open = mailOpen) {
  for (let i = 0; i < 5; i++) {
    await new Promise((done) => setTimeout(done, 1000 - (Date.now() % 1000)));
    await revoke(user);
    const second = Math.floor(Date.now() / 1000);
    const token = await signIn();
    await open(token);
    if (issuedAt(token) === second) return token;
  }
  assert.fail("in five rounds none within one second");
}
