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
  const browser = new w.Browser(ada);
  const signIn = async (claims) => {
    const code = await client.initiateDeviceAuthorization(config, { scope, claims });
    await browser.device(code.verification_uri, code.user_code);
    const tokens = await client.pollDeviceAuthorizationGrant(config, { ...code, interval: 1 }, undefined, { signal: AbortSignal.timeout(30000) });
    await w.mailOpen(tokens.access_token);
    return tokens;
  };
  const first = await signIn(w.cp1);
  const second = await client.refreshTokenGrant(config, first.refresh_token);
  await w.mailOpen(second.access_token);
  await w.revoke(ada);
  const claims = w.claimsOf(await w.mailShut(first.access_token));
  await w.mailShut(second.access_token);
  await refused(config, second);
  await signIn(claims);
  assert.equal(browser.asked, 2);
  await w.mailShut(first.access_token);
});

test("openid-client, as itself", async () => {
  const config = await client.discovery(new URL(w.base), w.robotApp.id, w.robotApp.secret, client.ClientSecretBasic(w.robotApp.secret));
  const tokens = await client.clientCredentialsGrant(config, { scope: w.mailAll });
  await w.mailOpen(tokens.access_token);
  await w.revokeApp(w.robotApp.id);
  await w.mailShut(tokens.access_token);
  await w.mailOpen((await client.clientCredentialsGrant(config, { scope: w.mailAll })).access_token);
  await w.mailShut(tokens.access_token);
  const wrong = await client.discovery(new URL(w.base), w.robotApp.id, undefined, client.ClientSecretPost("another-secret-of-the-right-length"));
  await assert.rejects(client.clientCredentialsGrant(wrong, { scope: w.mailAll }), (e) => e instanceof client.ResponseBodyError && e.status === 401 && e.error === "invalid_client");
});

// Everything is bound to a key: the code (dpop_jkt goes with the pushed request),
// the refresh token of a public client, and each access token at the API.
test("openid-client, pushed requests and DPoP", async () => {
  const config = await client.discovery(new URL(w.base), w.desk, undefined, client.None());
  const key = await client.randomDPoPKeyPair("ES256"), DPoP = client.getDPoPHandle(config, key);
  const thief = client.getDPoPHandle(config, await client.randomDPoPKeyPair("ES256"));
  const signIn = async (browser, DPoP, more = {}) => {
    const verifier = client.randomPKCECodeVerifier(), state = client.randomState();
    const url = await client.buildAuthorizationUrlWithPAR(config, {
      redirect_uri: "http://localhost/", scope: `openid offline_access ${w.mailRead}`, state, code_challenge: await client.calculatePKCECodeChallenge(verifier), code_challenge_method: "S256", ...more,
    }, { DPoP });
    assert.deepEqual([...url.searchParams.keys()].sort(), ["client_id", "request_uri"]);
    const end = await browser.visit(url);
    return client.authorizationCodeGrant(config, end.url, { pkceCodeVerifier: verifier, expectedState: state, idTokenExpected: true }, undefined, { DPoP });
  };
  const call = (token, DPoP) => client.fetchProtectedResource(config, token, new URL(`${w.api}/mail`), "GET", null, new Headers(), { DPoP });
  const open = async (token, DPoP) => assert.equal((await call(token, DPoP)).status, 200);
  const challenged = (token, DPoP, error) => assert.rejects(call(token, DPoP), (e) => {
    assert.ok(e instanceof client.WWWAuthenticateChallengeError, e);
    const of = Object.fromEntries(e.cause.map((c) => [c.scheme, c.parameters.error]));
    assert.ok(of.dpop?.match(error), JSON.stringify(e.cause));
    return true;
  });
  // shut waits until the API refuses, and returns what it asks for.
  const shut = async (token, DPoP) => {
    for (const end = Date.now() + 2000; ;) {
      try {
        assert.equal((await call(token, DPoP)).status, 200);
        assert.ok(Date.now() < end, "the API lets a revoked token in for 2 s");
      } catch (e) {
        if (!(e instanceof client.WWWAuthenticateChallengeError)) throw e;
        assert.equal(e.cause[0].parameters.error, "insufficient_claims");
        return Buffer.from(e.cause[0].parameters.claims, "base64").toString();
      }
    }
  };

  const browser = new w.Browser(ada);
  const first = await signIn(browser, DPoP, { claims: w.cp1 });
  assert.equal(first.token_type, "dpop");
  await open(first.access_token, DPoP);
  await w.mailShut(first.access_token); // as a bearer token
  await challenged(first.access_token, thief, /invalid_token|invalid_dpop_proof/);
  await assert.rejects(client.refreshTokenGrant(config, first.refresh_token, undefined, { DPoP: thief }), { error: "invalid_grant" });
  const second = await client.refreshTokenGrant(config, first.refresh_token, { claims: w.cp1 }, { DPoP });
  await open(second.access_token, DPoP);

  await w.revoke(ada);
  const claims = await shut(first.access_token, DPoP);
  await shut(second.access_token, DPoP);
  await assert.rejects(client.refreshTokenGrant(config, second.refresh_token, undefined, { DPoP }), (e) => e.error === "invalid_grant" && e.cause.suberror === "bad_token");
  const back = await signIn(browser, DPoP, { claims });
  assert.equal(browser.asked, 2);
  await open(back.access_token, DPoP);
  await w.sameSecond(ada, async () => (await signIn(new w.Browser(ada), DPoP)).access_token, (token) => open(token, DPoP));
  await shut(first.access_token, DPoP);
});

test("openid-client, private_key_jwt", async () => {
  const der = Buffer.from(w.vaultApp.key.replace(/-----[A-Z ]+-----|\n/g, ""), "base64");
  const key = await crypto.subtle.importKey("pkcs8", der, { name: "RSA-PSS", hash: "SHA-256" }, false, ["sign"]);
  const config = await client.discovery(new URL(w.issuer), w.vaultApp.id, undefined, client.PrivateKeyJwt(key));
  const tokens = await client.clientCredentialsGrant(config, { scope: w.mailAll });
  await w.mailOpen(tokens.access_token);
  await w.revokeApp(w.vaultApp.id);
  await w.mailShut(tokens.access_token);
  await w.mailOpen((await client.clientCredentialsGrant(config, { scope: w.mailAll })).access_token);
  const { privateKey: other } = await crypto.subtle.generateKey({ name: "RSA-PSS", hash: "SHA-256", modulusLength: 2048, publicExponent: new Uint8Array([1, 0, 1]) }, false, ["sign", "verify"]);
  const wrong = await client.discovery(new URL(w.issuer), w.vaultApp.id, undefined, client.PrivateKeyJwt(other));
  await assert.rejects(client.clientCredentialsGrant(wrong, { scope: w.mailAll }), (e) => e.status === 401 && e.error === "invalid_client");
});

// RFC 8693: the mail gets a token of its own for the archive.
test("openid-client, token exchange", async () => {
  const site = await client.discovery(new URL(w.base), w.siteApp.id, w.siteApp.secret);
  const middle = await client.discovery(new URL(w.base), w.mailAPI.id, w.mailAPI.secret);
  const behalf = (config, token, more = {}) => client.genericGrantRequest(config, "urn:ietf:params:oauth:grant-type:token-exchange", {
    subject_token: token, subject_token_type: "urn:ietf:params:oauth:token-type:access_token", scope: w.archiveAll, ...more,
  });
  const browser = new w.Browser(ada);
  const shown = await signIn(site, browser);
  const first = await behalf(middle, shown.access_token);
  assert.equal(first.issued_token_type, "urn:ietf:params:oauth:token-type:access_token");
  const said = JSON.parse(Buffer.from(first.access_token.split(".")[1], "base64url"));
  assert.deepEqual(said.act, { sub: w.mailAPI.id, act: { sub: w.siteApp.id } });
  await w.opens("archive", first.access_token);
  await w.shuts("mail", first.access_token);
  const kept = await behalf(middle, shown.access_token, { scope: `${w.archiveAll} offline_access` });
  const renewed = await client.refreshTokenGrant(middle, kept.refresh_token);
  await w.opens("archive", renewed.access_token);
  // Who is not the mail exchanges nothing that was shown to it.
  await assert.rejects(behalf(site, shown.access_token, { scope: w.mailAll }), { error: "invalid_request" });

  const fresh = await w.sameSecond(ada, async () => (await signIn(site, new w.Browser(ada))).access_token);
  for (const dead of [first, kept, renewed]) await w.shuts("archive", dead.access_token);
  await refused(middle, renewed);
  await assert.rejects(behalf(middle, shown.access_token), { error: "invalid_request" });
  const back = await behalf(middle, fresh);
  await w.opens("archive", back.access_token);
  await w.shuts("archive", first.access_token);
});

// RP-initiated logout: at once for who brings an ID token of this very session.
test("openid-client, sign-out", async () => {
  const config = await client.discovery(new URL(w.base), w.siteApp.id, w.siteApp.secret);
  const browser = new w.Browser(ada);
  const kept = await signIn(config, browser), tokens = await signIn(config, browser, { scope: `openid ${w.mailRead}` });
  await w.mailOpen(tokens.access_token);
  const state = client.randomState(), bye = "https://site.fabrikam.example/bye";
  const end = await browser.visit(client.buildEndSessionUrl(config, { post_logout_redirect_uri: bye, id_token_hint: tokens.id_token, state }));
  assert.equal(end.url.href, `${bye}?state=${state}`);
  await w.mailShut(tokens.access_token);
  await assert.rejects(signIn(config, browser, { prompt: "none" }), (e) => e.error === "login_required");
  // offline_access stays until it is revoked.
  await w.mailOpen((await client.refreshTokenGrant(config, kept.refresh_token)).access_token);
  await signIn(config, browser);
  assert.equal(browser.asked, 2);
});
