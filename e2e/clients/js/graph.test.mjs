import assert from "node:assert/strict";
import { test } from "node:test";
import { PublicClientApplication } from "@azure/msal-node";
import { Client, GraphError } from "@microsoft/microsoft-graph-client";
import * as w from "./world.mjs";

const ada = "ada@contoso.example", grace = "grace@contoso.example";

// graph is a client whose tokens come from a person's sign-in by msal-node.
async function graph(user) {
  const app = new PublicClientApplication({ auth: { clientId: w.desk, authority: w.authority, knownAuthorities: [w.host], clientCapabilities: ["CP1"] } });
  const browser = new w.Browser(user);
  const signIn = (claims) => app.acquireTokenInteractive({ scopes: [w.graphAll], claims, openBrowser: (url) => browser.visit(url) });
  let { account, accessToken } = await signIn();
  // A token is for one API, so the guarded one gets a client of its own.
  let mailToken = (await app.acquireTokenSilent({ scopes: [w.mailRead], account })).accessToken;
  const make = (baseUrl, token) => Client.initWithMiddleware({
    baseUrl, defaultVersion: "v1.0", customHosts: new Set([new URL(baseUrl).hostname]), authProvider: { getAccessToken: async () => token() },
  });
  return {
    client: make(w.base, () => accessToken), mail: make(w.api, () => mailToken), browser,
    token: () => mailToken,
    async renew(more) {
      ({ accessToken, account } = await app.acquireTokenSilent({ scopes: [w.graphAll], account, ...more }));
      ({ accessToken: mailToken } = await app.acquireTokenSilent({ scopes: [w.mailRead], account, ...more }));
    },
    async again(claims) {
      ({ accessToken, account } = await signIn(claims));
      ({ accessToken: mailToken } = await app.acquireTokenSilent({ scopes: [w.mailRead], account, claims, forceRefresh: true }));
    },
  };
}

test("microsoft-graph-client", async () => {
  const { client: admin } = await graph(grace);
  const person = await graph(ada);
  const me = await person.client.api("/me").get();
  assert.equal(me.userPrincipalName, ada);

  const found = await admin.api("/users").header("ConsistencyLevel", "eventual").search('"displayName:Lovelace"').select("id,displayName").count(true).get();
  assert.equal(found["@odata.count"], 1);
  assert.deepEqual(found.value, [{ id: me.id, displayName: "Ada Lovelace" }]);
  await admin.api(`/users/${me.id}`).patch({ jobTitle: "Countess" });
  assert.equal((await admin.api(`/users('${ada}')`).select("jobTitle").get()).jobTitle, "Countess");
  await assert.rejects(admin.api("/users/nobody@contoso.example").get(), (e) => e instanceof GraphError && e.statusCode === 404 && e.code === "Request_ResourceNotFound");
  await assert.rejects(person.client.api(`/users/${grace}/revokeSignInSessions`).post(), (e) => e instanceof GraphError && e.statusCode === 403 && e.code === "Authorization_RequestDenied");

  // Renewed, the client goes on.
  assert.equal((await person.mail.api("/mail").get()).user, me.id);
  const old = person.token();
  await person.renew({ forceRefresh: true });
  assert.notEqual(person.token(), old);
  assert.equal((await person.mail.api("/mail").get()).user, me.id);
  assert.equal((await person.client.api("/me").get()).id, me.id);

  const answer = await admin.api(`/users/${me.id}/revokeSignInSessions`).post();
  assert.equal(answer.value, true);
  let challenge;
  const refused = (e) => {
    assert.equal(e.statusCode, 401);
    challenge = e.headers.get("www-authenticate");
    return true;
  };
  await assert.rejects(person.client.api("/me").get(), (e) => refused(e) && e.code === "InvalidAuthenticationToken");
  await w.mailShut(person.token()); // the guard was told
  await assert.rejects(person.mail.api("/mail").get(), refused);
  const claims = w.claimsOf(challenge);
  await assert.rejects(person.renew({ claims }), { name: "InteractionRequiredAuthError" });
  const dead = person.token();
  await person.again(claims);
  assert.equal(person.browser.asked, 2);
  assert.equal((await person.client.api("/me").get()).id, me.id);
  assert.equal((await person.mail.api("/mail").get()).user, me.id);

  await w.sameSecond(ada, async () => {
    await person.again();
    return person.token();
  });
  assert.equal((await person.client.api("/me").get()).id, me.id);
  assert.equal((await person.mail.api("/mail").get()).user, me.id);
  await w.mailShut(dead);
});
