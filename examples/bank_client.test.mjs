// A bank client's test suite in JavaScript (node:test). Phone, clock and faults are driven through the control API only;
// the client under test knows nothing of devices.
//
//   stepup-server serve &                     (prints its URL)
//   stepup-phone control --port 7070 &
//   node --test examples/bank_client.test.mjs
//
// BANK     the bank's API (default http://127.0.0.1:8080/bank/v1)
// CONTROL  the control API (default http://127.0.0.1:7070)

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

const BANK = process.env.BANK ?? "http://127.0.0.1:8080/bank/v1";
const CONTROL = process.env.CONTROL ?? "http://127.0.0.1:7070";
const USER = { username: "9de3e326-b5bb-4cdc-bf6d-f6b609fbb765", passcode: "111234" };

// --- the client under test: the bank's published flow, nothing else -------------------------------------------------

class StepUpRequired extends Error {
  constructor(transactionId, methods) {
    super("step-up required");
    Object.assign(this, { transactionId, methods });
  }
}

class BankClient {
  async login() {
    this.tokens = await this.#send("/oauth2/login", USER);
  }

  async pay(payment, transactionId) {
    return this.#send("/payments/domestic", payment, transactionId);
  }

  async stepUp(transactionId, method = "PASSCODE") {
    const { refreshToken } = this.tokens;
    const body = method === "BIOMETRIC" ? { refreshToken, authenticationMethod: "BIOMETRIC" } : USER;
    this.tokens = await this.#send("/oauth2/stepup", body, transactionId);
  }

  async #send(path, body, transactionId) {
    const headers = { "Content-Type": "application/json", "X-APIKEY": "demo-api-key" };
    if (this.tokens) headers.Authorization = `Bearer ${this.tokens.accessToken}`;
    if (transactionId) headers["X-TransactionId"] = transactionId;
    const answer = await fetch(BANK + path, { method: "POST", headers, body: JSON.stringify(body) });
    const content = await answer.json();
    if (answer.status === 403 && content.transactionId) {
      throw new StepUpRequired(content.transactionId, content.authenticationMethods);
    }
    if (!answer.ok) throw Object.assign(new Error(content.message), { status: answer.status, code: content.code });
    return content;
  }
}

// --- the phone, over HTTP ----------------------------------------------------------------------------------------------

async function control(method, path, body) {
  const answer = await fetch(CONTROL + path, { method, body: body && JSON.stringify(body) });
  const { value } = await answer.json();
  if (!answer.ok) throw Object.assign(new Error(value.message), value);
  return value;
}

class Phone {
  static async enrolled(options = {}) {
    const phone = new Phone();
    phone.path = `/webauthn/authenticator/${await control("POST", "/webauthn/authenticator", options)}`;
    await phone.do("POST", "/enrol", { passcode: USER.passcode });
    return phone;
  }

  do(method, path = "", body = undefined) {
    return control(method, this.path + path, body);
  }
}

const order = (amount = "10.00") => ({
  amount,
  currency: "GBP",
  payee: { name: "ACME Ltd", sortCode: "112233", accountNumber: "12345678" },
});

async function refused(client, payment = order()) {
  const error = await client.pay(payment).then(
    () => assert.fail("paid without a step-up"),
    (caught) => caught,
  );
  assert.ok(error instanceof StepUpRequired);
  return error;
}

let client;
beforeEach(async () => {
  await control("POST", "/reset", {});
  await control("PUT", "/clock", { now: "2026-01-31T12:00:00Z", frozen: true });
  client = new BankClient();
  await client.login();
});

// --- the suite -----------------------------------------------------------------------------------------------------------

for (const method of ["PASSCODE", "BIOMETRIC"]) {
  test(`a payment approved on the phone goes through with ${method}`, async () => {
    const phone = await Phone.enrolled();
    const { transactionId, methods } = await refused(client);
    assert.deepEqual(methods, ["PASSCODE", "BIOMETRIC"]);
    await phone.do("POST", "/approve", { transactionId, method });
    await client.stepUp(transactionId, method);
    const paid = await client.pay(order(), transactionId);
    assert.equal(paid.status, "ACCEPTED");
  });
}

test("an identifier serves one payment", async () => {
  const phone = await Phone.enrolled();
  const { transactionId } = await refused(client);
  await phone.do("POST", "/approve", { transactionId });
  await client.stepUp(transactionId);
  await client.pay(order(), transactionId);
  await assert.rejects(client.pay(order(), transactionId), StepUpRequired);
});

test("a declined payment is refused", async () => {
  const phone = await Phone.enrolled();
  const { transactionId } = await refused(client);
  await phone.do("POST", "/decline", { transactionId });
  await assert.rejects(client.stepUp(transactionId), { code: "403.000.52" });
});

test("by rule the phone approves what is small and declines what is not", async () => {
  const phone = await Phone.enrolled();
  await phone.do("PUT", "/answers", { decision: "approve", amountOver: "100.00", otherwise: "decline" });
  for (const [amount, outcome] of [["100.00", "approved"], ["100.01", "declined"]]) {
    const { transactionId } = await refused(client, order(amount));
    const answered = await phone.do("GET", `/pending/${transactionId}?waitSeconds=20`);
    assert.equal(answered.outcome, outcome);
    if (outcome === "approved") {
      await client.stepUp(transactionId);
      await client.pay(order(amount), transactionId);
    } else {
      await assert.rejects(client.stepUp(transactionId), { code: "403.000.52" });
    }
  }
});

test("a fault of the phone is refused like any wrong element", async () => {
  const phone = await Phone.enrolled();
  await phone.do("PUT", "/fault", { name: "altered-payee" });
  const { transactionId } = await refused(client);
  await phone.do("POST", "/approve", { transactionId });
  await assert.rejects(client.stepUp(transactionId), { status: 403, code: "403.000.52" });
});

test("a finger that is not the owner's signs nothing", async () => {
  const phone = await Phone.enrolled({ profile: "iphone-17" });
  await phone.do("POST", "/uv", { isUserVerified: false });
  const { transactionId } = await refused(client);
  await assert.rejects(phone.do("POST", "/approve", { transactionId, method: "BIOMETRIC" }), { error: "refused" });
});

test("an identifier that is too old is refused, whatever the phone says", async () => {
  const phone = await Phone.enrolled();
  const { transactionId } = await refused(client);
  await phone.do("POST", "/approve", { transactionId });
  await control("POST", "/clock/advance", { seconds: 241 });
  await assert.rejects(client.stepUp(transactionId), { code: "403.000.53" });
});

test("a misspelt parameter is an error, not a default", async () => {
  await assert.rejects(Phone.enrolled({ profil: "iphone-17" }), { error: "invalid argument" });
});
