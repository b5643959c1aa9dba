import assert from "node:assert/strict";
import { test } from "node:test";
import { ConfidentialClientApplication, InteractionRequiredAuthError, PublicClientApplication } from "@azure/msal-node";
import * as w from "./world.mjs";

const ada = "ada@contoso.example";
const auth = (more) => ({ authority: w.authority, knownAuthorities: [w.host], clientCapabilities: ["CP1"], ...more });
const desk = () => new PublicClientApplication({ auth: auth({ clientId: w.desk }) });

// interactive is a sign-in in a browser that the library opens.
const interactive = (app, browser, more = {}) => app.acquireTokenInteractive({ scopes: [w.mailRead], openBrowser: (url) => browser.visit(url), ...more });

const needsInteraction = (e) => {
  assert.ok(e instanceof InteractionRequiredAuthError, `${e.constructor.name}: ${e.message}`);
  assert.equal(e.errorCode, "invalid_grant");
  assert.equal(e.subError, "bad_token");
  return true;
};

test("msal-node, public client", async () => {
  const app = desk(), browser = new w.Browser(ada);
  const first = await interactive(app, browser);
  assert.equal(first.account.username, ada);
  assert.equal(first.account.homeAccountId, `${first.idTokenClaims.oid}.${first.idTokenClaims.tid}`);
  await w.mailOpen(first.accessToken);
  const cached = await app.acquireTokenSilent({ scopes: [w.mailRead], account: first.account });
  assert.ok(cached.fromCache);
  const own = await app.acquireTokenSilent({ scopes: [w.graphAll], account: first.account });
  assert.ok(!own.fromCache);
  assert.ok((await app.acquireTokenSilent({ scopes: [w.graphAll], account: first.account })).fromCache);
  const forced = await app.acquireTokenSilent({ scopes: [w.mailRead], account: first.account, forceRefresh: true });
  assert.notEqual(forced.accessToken, first.accessToken);
  await w.mailOpen(forced.accessToken);
  await w.mailOpen(first.accessToken);

  const fresh = await w.sameSecond(ada, async () => (await interactive(desk(), new w.Browser(ada))).accessToken);
  await w.mailShut(first.accessToken);
  const claims = w.claimsOf(await w.mailShut(forced.accessToken));
  await assert.rejects(app.acquireTokenSilent({ scopes: [w.mailRead], account: first.account, claims }), needsInteraction);
  const back = await interactive(app, browser, { claims });
  assert.equal(browser.asked, 2);
  await w.mailOpen(back.accessToken);
  // An older challenge is met by renewing.
  const met = await app.acquireTokenSilent({ scopes: [w.mailRead], account: back.account, claims });
  assert.ok(!met.fromCache);
  await w.mailOpen(met.accessToken);
  await w.mailOpen(fresh);
  await w.mailShut(first.accessToken);
});

test("msal-node, device code", async () => {
  const app = desk(), browser = new w.Browser(ada);
  const signIn = async (claims) => {
    let opened;
    const tokens = await app.acquireTokenByDeviceCode({
      scopes: [w.mailRead], claims,
      deviceCodeCallback: (r) => {
        assert.ok(r.message.includes(r.userCode));
        opened = browser.device(r.verificationUri, r.userCode);
      },
    });
    await opened;
    await w.mailOpen(tokens.accessToken);
    return tokens;
  };
  const first = await signIn();
  const forced = await app.acquireTokenSilent({ scopes: [w.mailRead], account: first.account, forceRefresh: true });
  await w.mailOpen(forced.accessToken);
  await w.revoke(ada);
  await w.mailShut(first.accessToken);
  const claims = w.claimsOf(await w.mailShut(forced.accessToken));
  await assert.rejects(app.acquireTokenSilent({ scopes: [w.mailRead], account: first.account, claims }), needsInteraction);
  await signIn(claims);
  assert.equal(browser.asked, 2);
  await w.mailShut(first.accessToken);
});

for (const [name, it, credential] of [
  ["secret", w.siteApp, { clientSecret: w.siteApp.secret }],
  ["certificate", w.vaultApp, { clientCertificate: { thumbprintSha256: w.vaultApp.thumbprint, privateKey: w.vaultApp.key } }],
]) {
  test(`msal-node, confidential client, ${name}`, async () => {
    const make = () => new ConfidentialClientApplication({ auth: auth({ clientId: it.id, ...credential }) });
    const app = make(), browser = new w.Browser(ada);
    const signIn = async (app, browser, claims) => {
      const end = await browser.visit(await app.getAuthCodeUrl({ scopes: [w.mailRead], redirectUri: it.url, claims }));
      const code = (end.form ?? end.url.searchParams).get("code");
      return app.acquireTokenByCode({ scopes: [w.mailRead], redirectUri: it.url, code, claims });
    };
    const first = await signIn(app, browser);
    await w.mailOpen(first.accessToken);
    assert.ok((await app.acquireTokenSilent({ scopes: [w.mailRead], account: first.account })).fromCache);
    const forced = await app.acquireTokenSilent({ scopes: [w.mailRead], account: first.account, forceRefresh: true });
    await w.mailOpen(forced.accessToken);
    const fresh = await w.sameSecond(ada, async () => (await signIn(make(), new w.Browser(ada))).accessToken);
    await w.mailShut(first.accessToken);
    const claims = w.claimsOf(await w.mailShut(forced.accessToken));
    await assert.rejects(app.acquireTokenSilent({ scopes: [w.mailRead], account: first.account, claims }), needsInteraction);
    const back = await signIn(app, browser, claims);
    assert.equal(browser.asked, 2);
    await w.mailOpen(back.accessToken);
    await w.mailOpen(fresh);
    await w.mailShut(first.accessToken);
  });
}

test("msal-node, on behalf of", async () => {
  const middle = new ConfidentialClientApplication({ auth: auth({ clientId: w.mailAPI.id, clientSecret: w.mailAPI.secret }) });
  const behalf = (oboAssertion, more = {}) => middle.acquireTokenOnBehalfOf({ oboAssertion, scopes: [w.archiveRead], ...more });
  const shown = (await interactive(desk(), new w.Browser(ada))).accessToken;
  const first = await behalf(shown);
  await w.opens("archive", first.accessToken);
  assert.ok((await behalf(shown)).fromCache);
  const renewed = await behalf(shown, { skipCache: true });
  assert.notEqual(renewed.accessToken, first.accessToken);
  await w.opens("archive", renewed.accessToken);

  const fresh = await w.sameSecond(ada, async () => (await interactive(desk(), new w.Browser(ada))).accessToken);
  await w.mailShut(shown);
  await w.shuts("archive", first.accessToken);
  const claims = w.claimsOf(await w.shuts("archive", renewed.accessToken));
  await assert.rejects(behalf(shown, { claims }), needsInteraction);
  const back = await behalf(fresh, { claims });
  await w.opens("archive", back.accessToken);
  await w.shuts("archive", first.accessToken);
});

test("msal-node, as itself", async () => {
  const app = new ConfidentialClientApplication({ auth: auth({ clientId: w.robotApp.id, clientSecret: w.robotApp.secret }) });
  const got = await app.acquireTokenByClientCredential({ scopes: [w.mailAll] });
  await w.mailOpen(got.accessToken);
  assert.ok((await app.acquireTokenByClientCredential({ scopes: [w.mailAll] })).fromCache);
  await w.revokeApp(w.robotApp.id);
  const claims = w.claimsOf(await w.mailShut(got.accessToken));
  const back = await app.acquireTokenByClientCredential({ scopes: [w.mailAll], claims });
  assert.ok(!back.fromCache);
  await w.mailOpen(back.accessToken);
  await w.mailShut(got.accessToken);
});
