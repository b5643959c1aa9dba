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

// Each policy is met by its code: the library tells those that a person can meet from
// those that need another sign-in first, and goes on by itself when the policy is gone.
test("msal-node, policies", async () => {
  const controls = (...builtInControls) => ({ grantControls: { operator: "OR", builtInControls } });
  const open = async () => {
    const app = desk(), browser = new w.Browser(ada);
    const got = await interactive(app, browser);
    await w.mailOpen(got.accessToken);
    return { app, browser, account: got.account, token: got.accessToken };
  };
  const silent = async (p, claims) => (p.token = (await p.app.acquireTokenSilent({ scopes: [w.mailRead], account: p.account, claims })).accessToken);
  const told = async (p, number, suberror, policy) => {
    const asked = w.claimsOf(await w.mailShut(p.token));
    let said;
    await assert.rejects(silent(p, asked), (e) => {
      // MSAL does not know token_expired (reference: only sign-in again helps), so it is no InteractionRequiredAuthError.
      assert.equal(e instanceof InteractionRequiredAuthError, suberror !== "token_expired", e.message);
      assert.equal(e.errorCode, "invalid_grant");
      assert.equal(e.subError, suberror);
      assert.match(e.errorMessage, new RegExp(`AADSTS${number}`));
      if (suberror !== "token_expired") assert.ok(JSON.parse(e.claims).access_token.capolids.values.includes(policy.id));
      said = e.claims;
      return true;
    });
    return { asked, said };
  };
  const met = async (p, claims) => {
    p.token = (await interactive(p.app, p.browser, { claims })).accessToken;
    await w.mailOpen(p.token);
  };
  const goneOn = async (p, asked, policy) => {
    await policy.remove();
    await silent(p, asked);
    await w.mailOpen(p.token);
  };
  const one = await open(), two = await open(), three = await open();
  for (const [what, number, suberror] of [["block", 53003, "message_only"], ["compliantDevice", 50097, "additional_action"]]) {
    const p = await w.policy(ada, controls(what));
    const { asked } = await told(one, number, suberror, p);
    await goneOn(one, asked, p);
  }
  let p = await w.policy(ada, { grantControls: { operator: "OR", builtInControls: [], termsOfUse: [await w.terms()] } });
  let claims = await told(one, 50158, "basic_action", p);
  await met(one, claims.said);
  await p.remove();

  p = await w.policy(ada, controls("mfa"));
  claims = await told(one, 50079, "basic_action", p);
  await met(one, claims.asked);
  assert.equal(one.browser.coded, 2); // to set the app up, and to show it
  claims = await told(two, 50076, "basic_action", p);
  await met(two, claims.said);
  assert.equal(two.browser.coded, 1);
  claims = await told(three, 50076, "basic_action", p);
  await goneOn(three, claims.asked, p);
  assert.equal(three.browser.coded, 0);

  await w.age(ada, 2);
  p = await w.policy(ada, { sessionControls: { signInFrequency: { isEnabled: true, type: "hours", value: 1, frequencyInterval: "timeBased", authenticationType: "primaryAndSecondaryAuthentication" } } });
  claims = await told(one, 70043, "token_expired", p);
  const before = [one.browser.asked, one.browser.coded];
  await met(one, claims.asked);
  assert.deepEqual([one.browser.asked, one.browser.coded], [before[0] + 1, before[1] + 1]);
  claims = await told(three, 70043, "token_expired", p);
  await goneOn(three, claims.asked, p);
});
