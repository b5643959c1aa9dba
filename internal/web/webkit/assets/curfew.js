// Improves pages that work without it: live receipts, live search, dialogs, keys.
(() => {
"use strict";
const $ = (s, e = document) => e.querySelector(s), $$ = (s, e = document) => [...e.querySelectorAll(s)];
const on = (t, f, e = document) => e.addEventListener(t, f);
const parse = html => new DOMParser().parseFromString(html, "text/html");

// An answer that travels by form: send it.
const auto = $("form[data-submit]");
if (auto) { auto.submit(); return; }

// The message that wants to be read first takes the focus.
const first = $(".problem[data-focus]") || $("[data-focus]");
if (first) first.focus();
$$("[data-noscript]").forEach(e => e.hidden = true);

// Show what is typed.
const setup = root => {
  $$("[data-show]", root).forEach(b => {
    const input = $("#" + CSS.escape(b.dataset.show));
    if (!input) return;
    b.hidden = false;
    b.onclick = () => {
      const shown = input.type === "text";
      input.type = shown ? "password" : "text";
      b.setAttribute("aria-pressed", String(!shown));
      $("span", b).textContent = shown ? "Show" : "Hide";
      input.focus();
    };
  });
  $$("[data-copy-from]", root).forEach(b => {
    if (!navigator.clipboard) return;
    b.hidden = false;
    b.onclick = () => navigator.clipboard.writeText($("#" + b.dataset.copyFrom).textContent).then(() => $("span", b).textContent = "Copied");
  });
};
setup(document);

on("click", ev => {
  const a = ev.target.closest("a[data-copy]");
  if (a && navigator.clipboard) {
    ev.preventDefault();
    navigator.clipboard.writeText(a.href).then(() => $("span", a).textContent = "Copied");
  }
  const refused = ev.target.closest("[aria-disabled=true]");
  if (refused) {
    const why = $("#" + refused.getAttribute("aria-describedby"));
    if (why) { ev.preventDefault(); why.focus(); }
  }
  $$("details.pill[open],details.me[open]").forEach(d => { if (!d.contains(ev.target)) d.open = false; });
});

// A form is sent once; its button says what is happening.
on("submit", ev => {
  const f = ev.target;
  if (!f.hasAttribute("data-once")) return;
  if (f.dataset.sent) { ev.preventDefault(); return; }
  f.dataset.sent = "1";
  const b = ev.submitter;
  if (b && b.dataset.busy) {
    b.style.width = b.offsetWidth + "px";
    b.setAttribute("aria-busy", "true");
    $("span", b).textContent = b.dataset.busy;
  }
});
on("pageshow", ev => { if (ev.persisted) $$("[data-sent]").forEach(f => delete f.dataset.sent); }, window);

// The confirmation page as a dialog. Anything unexpected: go there instead.
const modal = $("dialog.modal:not(#keys)");
const ask = async url => {
  try {
    const r = await fetch(url, {headers: {Accept: "text/html"}});
    const body = r.ok && !r.redirected && $("[data-dialog-body]", parse(await r.text()));
    if (!body) throw 0;
    modal.replaceChildren(document.adoptNode(body));
    setup(modal);
    modal.showModal();
    const field = $("input:not([type=hidden]):not([type=checkbox])", modal);
    if (field) field.focus();
  } catch { location.href = url; }
};
on("click", ev => {
  if (ev.defaultPrevented || ev.button || ev.metaKey || ev.ctrlKey || ev.shiftKey || !modal || !modal.showModal) return;
  const a = ev.target.closest("a[data-dialog]");
  if (a) { ev.preventDefault(); ask(a.href); return; }
  if (modal.open && ev.target.closest("[data-keep]")) { ev.preventDefault(); modal.close(); }
});

// Live parts: an event is HTML whose data-part elements replace their namesakes.
const span = ms => {
  const s = Math.round(ms / 1000), m = Math.floor(s / 60), two = (a, u, b, v) => a + " " + u + (b ? " " + b + " " + v : "");
  return s < 60 ? s + " s" : s < 3600 ? two(m, "min", s % 60, "s") : two(Math.floor(m / 60), "h", m % 60, "min");
};
const instant = (clock, ms) => {
  const p = /(\d\d):(\d\d):(\d\d)/.exec(clock) || [0, 0, 0, 0];
  const s = (p[1] * 3600 + p[2] * 60 + +p[3] + Math.floor(ms / 1000)) % 86400;
  return [s / 3600, s / 60 % 60, s % 60].map(n => String(Math.floor(n)).padStart(2, "0")).join(":");
};
const name = document.title;
$$("[data-live]").forEach(root => {
  const began = performance.now(), said = {at: -1e9, timer: 0};
  const put = (part, html) => { if (part.innerHTML !== html) part.innerHTML = html; };
  const say = (part, html) => { // a status line speaks at most once a second
    clearTimeout(said.timer);
    const wait = said.at + 1000 - performance.now();
    if (wait <= 0) { said.at = performance.now(); put(part, html); }
    else said.timer = setTimeout(() => { said.at = performance.now(); put(part, html); }, wait);
  };
  const es = new EventSource(root.dataset.live);
  es.onmessage = ev => {
    root.classList.remove("stale");
    $$("[data-part]", parse(ev.data)).forEach(next => {
      const part = $('[data-part="' + next.dataset.part + '"]', root);
      if (!part) return;
      if (part.getAttribute("role") === "status") say(part, next.innerHTML); else put(part, next.innerHTML);
      if (next.dataset.title) document.title = next.dataset.title + name.slice(name.indexOf(" – "));
    });
  };
  es.onerror = () => {
    if (root.classList.contains("stale")) return;
    root.classList.add("stale");
    const line = $("[role=status] span span", root);
    if (line) line.textContent = "Not live since " + instant(root.dataset.clock, performance.now() - began) + ". Trying again.";
  };
  on("end", () => es.close(), es);
});
$$("[data-now]").forEach(root => {
  const zero = +root.dataset.now - performance.now();
  setInterval(() => $$("[data-left]", root).forEach(e => {
    const left = e.dataset.left - zero - performance.now();
    e.textContent = left > 0 ? "in " + span(left) : "";
  }), 1000);
});

// Live search: the same page, only its results taken.
let running, timer;
on("input", ev => {
  const f = ev.target.closest("form[data-search]");
  if (!f) return;
  clearTimeout(timer);
  timer = setTimeout(async () => {
    if (running) running.abort();
    running = new AbortController();
    const url = new URL(f.action);
    url.search = new URLSearchParams(new FormData(f));
    try {
      const r = await fetch(url, {signal: running.signal});
      const next = r.ok ? $$("[data-results]", parse(await r.text())) : [], here = $$("[data-results]");
      if (next.length !== here.length) throw 0;
      here.forEach((e, i) => e.innerHTML = next[i].innerHTML);
      history.replaceState(null, "", url);
      bulk();
    } catch (e) { if (e.name !== "AbortError") f.submit(); }
  }, 150);
});

// Selecting rows.
let anchor;
const boxes = () => $$("form[data-bulk] tbody input[type=checkbox]");
const bulk = () => {
  const all = $("[data-all]"), b = boxes(), n = b.filter(x => x.checked).length;
  b.forEach(x => x.closest("tr").classList.toggle("sel", x.checked));
  if (!all) return;
  all.hidden = false;
  all.checked = n > 0 && n === b.length;
  all.indeterminate = n > 0 && n < b.length;
  $("[data-count]").textContent = n ? n + " selected" : "Nothing selected";
  all.closest(".bulk").classList.toggle("has", n > 0);
  all.closest(".bulk").classList.toggle("none", !n);
};
bulk();
on("change", ev => {
  if (ev.target.matches("[data-all]")) boxes().forEach(x => x.checked = ev.target.checked);
  if (ev.target.closest("form[data-bulk]")) bulk();
});

// Keys. Off while a field has the focus.
let cur = -1, g = -1e9;
const rows = () => $$("main tbody tr:not(.g,.tk)");
const move = d => {
  const r = rows();
  if (!r.length) return;
  cur = Math.max(0, Math.min(r.length - 1, cur + d));
  r.forEach((x, i) => x.classList.toggle("cur", i === cur));
  const to = $("th a, a, input, button", r[cur]);
  if (to) to.focus(); else r[cur].scrollIntoView({block: "nearest"});
};
const pick = range => {
  const b = rows().map(r => $("input[type=checkbox]", r));
  if (!b[cur]) return;
  if (range && anchor >= 0) for (let i = Math.min(anchor, cur); i <= Math.max(anchor, cur); i++) b[i].checked = true;
  else { b[cur].checked = !b[cur].checked; anchor = cur; }
  bulk();
};
on("keydown", ev => {
  if (ev.ctrlKey || ev.metaKey || ev.altKey || ev.defaultPrevented || document.documentElement.dataset.keys === "off") return;
  if (ev.target.matches("input:not([type=checkbox]),textarea,select") || $("dialog[open]")) return;
  const k = ev.key.toLowerCase(), was = performance.now() - g < 1000;
  g = -1e9;
  const go = p => { location.href = p; };
  if (was && k === "u") go("/portal/users");
  else if (was && k === "o") go("/portal");
  else if (was && k === "r") go("/portal/receipts");
  else if (k === "g") { g = performance.now(); return; }
  else if (k === "/") { const s = $$("[data-slash]").pop(); if (!s) return; s.focus(); s.select(); }
  else if (k === "j") move(1);
  else if (k === "k") move(-1);
  else if (k === "x") pick(ev.shiftKey);
  else if (k === "?") { const d = $("#keys"); if (!d) return; d.showModal(); }
  else if (k === "r") {
    const c = boxes().some(x => x.checked) ? $('button[name=verb][value=revoke]') : $("[data-key=R]");
    if (!c) return;
    c.click();
  } else return;
  ev.preventDefault();
});
})();
