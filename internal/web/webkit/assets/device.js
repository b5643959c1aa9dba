// Registers a browser as a device, and proves later that it is one. The key is made
// so that it cannot be exported and lives in the browser's own store.
"use strict";
(() => {
const at = document.querySelector("[data-device]");
if (!at) return;
const go = to => location.replace(to);
const b64 = b => btoa(String.fromCharCode(...new Uint8Array(b))).replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
const done = r => new Promise((yes, no) => { r.onsuccess = () => yes(r.result); r.onerror = () => no(r.error); });
const keys = async (mode, f) => {
  const open = indexedDB.open("curfew-device", 1);
  open.onupgradeneeded = () => open.result.createObjectStore("keys");
  const db = await done(open);
  try { return await done(f(db.transaction("keys", mode).objectStore("keys"))); } finally { db.close(); }
};
const ask = async (url, body) => {
  const r = await fetch(url, { method: "POST", credentials: "same-origin", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) });
  const out = await r.json();
  if (!r.ok) throw new Error(out.error);
  return out;
};
// The server says which origin it believes to be; a browser elsewhere signs nothing.
const sign = (key, c, purpose) => {
  if (c.origin !== location.origin) throw new Error("This is not the address of the directory.");
  const text = "curfew device\n" + location.origin + "\n" + purpose + "\n" + c.challenge;
  return crypto.subtle.sign({ name: "ECDSA", hash: "SHA-256" }, key, new TextEncoder().encode(text));
};

const register = async name => {
  const c = await ask(at.dataset.challenge, {});
  const pair = await crypto.subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, false, ["sign"]);
  const key = b64(await crypto.subtle.exportKey("raw", pair.publicKey));
  const signature = b64(await sign(pair.privateKey, c, "register"));
  // Kept before it is registered: a device whose key is lost would be of no use.
  await keys("readwrite", s => s.put(pair.privateKey, key));
  const d = await ask(at.action, { name, challenge: c.challenge, key, signature });
  await keys("readwrite", s => { s.delete(key); return s.put(pair.privateKey, d.device); });
};

const recognise = async () => {
  const c = await ask(at.dataset.challenge, {});
  const proofs = [];
  for (const device of c.devices) {
    const key = await keys("readonly", s => s.get(device));
    if (key) proofs.push({ device, signature: b64(await sign(key, c, "recognise")) });
  }
  if (!proofs.length) return at.dataset.else;
  await ask(at.dataset.post, { challenge: c.challenge, proofs });
  return at.dataset.next;
};

if (at.dataset.device === "recognise") {
  const late = new Promise(yes => setTimeout(() => yes(at.dataset.else), 5000));
  Promise.race([recognise(), late]).catch(() => at.dataset.else).then(go);
  return;
}
at.hidden = false;
at.addEventListener("submit", async ev => {
  ev.preventDefault();
  const told = document.querySelector("[data-device-error]"), button = at.querySelector("button");
  told.hidden = button.disabled = true;
  try {
    await register(at.elements.name.value);
    go(at.dataset.next);
  } catch (e) {
    told.textContent = e.message;
    told.hidden = button.disabled = false;
  }
});
})();
