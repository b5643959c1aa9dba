import assert from "node:assert/strict";
import { test } from "node:test";
import * as client from "openid-client";
import * as w from "./world.mjs";

const ada = "ada@contoso.example";
const scope = `openid profile email offline_access ${w.mailRead}`;

// signIn goes through the browser to tokens; the library verifies state, nonce,
// issuer (RFC 9207) and the ID token with its signature.
async function signIn(config, browser, more = {}) {
  const verifier = client.randomPKCECodeVerifier(), state = client.randomState(), nonce = client.randomNonce();
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: w.siteApp.url, scope, state, nonce, code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256", ...more,
  });
  const end = await browser.visit(url);
  return client.authorizationCodeGrant(config, end.url, { pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true });
}

async function refused(config, tokens) {
  await assert.rejects(client.refreshTokenGrant(config, tokens.refresh_token), (e) => {
    assert.ok(e instanceof client.ResponseBodyError, e);
    assert.equal(e.status, 400);
    assert.equal(e.error, "invalid_grant");
    assert.equal(e.cause.suberror, "bad_token");
    return true;
  });
}

for (const [name, issuer, auth] of [["plain issuer", w.base, client.ClientSecretBasic(w.siteApp.secret)], ["tenant issuer", w.issuer, client.ClientSecretPost(w.siteApp.secret)]]) {
  test(`openid-client, ${name}`, async () => {
    const config = await client.discovery(new URL(issuer), w.siteApp.id, w.siteApp.secret, auth);
    client.enableNonRepudiationChecks(config);
    const browser = new w.Browser(ada);
    const first = await signIn(config, browser);
    assert.equal(first.claims().preferred_username, ada);
    assert.equal(first.claims().iss, issuer);
    await w.mailOpen(first.access_token);
    const profile = await signIn(config, browser, { scope: "openid profile" });
    const info = await client.fetchUserInfo(config, profile.access_token, first.claims().sub);
    assert.equal(info.name, "Ada Lovelace");
    const second = await client.refreshTokenGrant(config, first.refresh_token);
    await w.mailOpen(second.access_token);
    const narrow = await client.refreshTokenGrant(config, second.refresh_token, { scope: `openid ${w.mailRead}` });
    await w.mailOpen(narrow.access_token);
    const aware = await signIn(config, browser, { claims: w.cp1 });
    assert.equal(browser.asked, 1);

    const fresh = await w.sameSecond(ada, async () => (await signIn(config, new w.Browser(ada))).access_token);
    for (const dead of [first, second, narrow]) {
      assert.match(await w.mailShut(dead.access_token), /error="invalid_token"/);
      await refused(config, dead);
    }
    await assert.rejects(client.fetchUserInfo(config, profile.access_token, info.sub), client.WWWAuthenticateChallengeError);

    // The library reads the challenge.
    let claims;
    await w.mailShut(aware.access_token);
    await assert.rejects(client.fetchProtectedResource(config, aware.access_token, new URL(`${w.api}/mail`), "GET"), (e) => {
      assert.ok(e instanceof client.WWWAuthenticateChallengeError, e);
      assert.equal(e.cause.length, 1);
      assert.equal(e.cause[0].scheme, "bearer");
      assert.equal(e.cause[0].parameters.error, "insufficient_claims");
      claims = Buffer.from(e.cause[0].parameters.claims, "base64").toString();
      return true;
    });
    // The old browser is signed out, too.
    await assert.rejects(signIn(config, browser, { prompt: "none" }), (e) => e instanceof client.AuthorizationResponseError && e.error === "login_required");
    const back = await signIn(config, browser, { claims });
    assert.equal(browser.asked, 2);
    await w.mailOpen(back.access_token);
    await w.mailOpen(fresh);
    await w.mailShut(first.access_token);

    // RFC 7009 ends one grant, not the person.
    await client.tokenRevocation(config, back.refresh_token);
    await refused(config, back);
    await w.mailShut(back.access_token);
    await w.mailOpen(fresh);
  });
}

test("openid-client, device flow", async () => {
  const config = await client.discovery(new URL(w.base), w.desk, undefined, client.None());
  const code = await client.initiateDeviceAuthorization(config, { scope });
  await new w.Browser(ada).device(code.verification_uri, code.user_code);
  const tokens = await client.pollDeviceAuthorizationGrant(config, code, undefined, { signal: AbortSignal.timeout(30000) });
  await w.mailOpen(tokens.access_token);
});

test("openid-client, as itself", async () => {
  const config = await client.discovery(new URL(w.base), w.robotApp.id, w.robotApp.secret, client.ClientSecretBasic(w.robotApp.secret));
  const tokens = await client.clientCredentialsGrant(config, { scope: w.mailAll });
  await w.mailOpen(tokens.access_token);
  const wrong = await client.discovery(new URL(w.base), w.robotApp.id, undefined, client.ClientSecretPost("another-secret-of-the-right-length"));
  await assert.rejects(client.clientCredentialsGrant(wrong, { scope: w.mailAll }), (e) => e instanceof client.ResponseBodyError && e.status === 401 && e.error === "invalid_client");
});
