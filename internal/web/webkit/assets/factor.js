// What second factors need a script for: passkeys, and printing codes.
(() => {
"use strict";
const $ = (s, e) => e.querySelector(s), $$ = s => [...document.querySelectorAll(s)];

// A form that is sent with what the browser's passkey answers. Its address of
// data-passkey says what to ask; with data-make a new passkey is made.
$$("form[data-passkey]").forEach(f => {
  const b = $("button:not([name])", f), P = window.PublicKeyCredential, make = f.hasAttribute("data-make");
  const say = text => {
    const p = $("[data-said]", f);
    $("span", p).textContent = text;
    p.hidden = !text;
    b.disabled = false;
  };
  if (!P || !P.parseRequestOptionsFromJSON) { say("This browser cannot use passkeys."); b.disabled = true; return; }
  f.addEventListener("submit", async ev => {
    if (ev.submitter && ev.submitter !== b) return;
    ev.preventDefault();
    say("");
    b.disabled = true;
    let asked = false;
    try {
      const r = await fetch(f.dataset.passkey, {method: "POST"}), c = await r.json();
      if (!r.ok) { say(c.error || "That did not work. Try again."); return; }
      asked = true;
      const got = make ? await navigator.credentials.create({publicKey: P.parseCreationOptionsFromJSON(c.options)})
        : await navigator.credentials.get({publicKey: P.parseRequestOptionsFromJSON(c.options)});
      f.elements.ticket.value = c.ticket;
      f.elements.response.value = JSON.stringify(got.toJSON());
      f.submit();
    } catch (e) {
      say(!asked ? "The server did not answer. Nothing was done. Try again."
        : e.name === "InvalidStateError" ? "This device holds a passkey of yours already."
        : e.name === "SecurityError" ? "Passkeys do not work at this address."
        : "No passkey was used: it was cancelled, there is none here, or it took too long.");
    }
  });
});
window.addEventListener("pageshow", ev => { if (ev.persisted) $$("form[data-passkey] button").forEach(b => b.disabled = false); });

$$("[data-print]").forEach(b => { b.hidden = false; b.onclick = () => window.print(); });
})();
