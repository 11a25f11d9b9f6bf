// SimpleWebAuthn as a contestant: reads one line of material, then counts; answers with the processor seconds spent.
import readline from 'node:readline';
import { verifyAuthenticationResponse, verifyRegistrationResponse, SettingsService } from '@simplewebauthn/server';

const bytes = (text) => new Uint8Array(Buffer.from(text, 'base64url'));
const lines = readline.createInterface({ input: process.stdin })[Symbol.asyncIterator]();
const material = JSON.parse((await lines.next()).value);
const what = process.argv[2];
const common = { expectedOrigin: material.origin, expectedRPID: material.rpId };

let one;
if (what === 'assertion') {
  const credential = { id: material.credentialId, publicKey: bytes(material.cose), counter: 0 };
  const all = material.assertions.map((a) => ({ response: JSON.parse(a.text), expectedChallenge: a.challenge }));
  one = (i) => verifyAuthenticationResponse({ ...all[i % all.length], ...common, credential });
} else {
  SettingsService.setRootCertificates({ identifier: 'packed', certificates: [material.root] });
  const all = material.registrations.map((r) => ({ response: JSON.parse(r.text), expectedChallenge: r.challenge }));
  one = (i) => verifyRegistrationResponse({ ...all[i % all.length], ...common });
}
const first = await one(0);
if (!first.verified) throw new Error('SimpleWebAuthn refuses the material');
console.log('ready');
for await (const line of lines) {
  const start = process.cpuUsage();
  for (let i = 0; i < Number(line); i += 1) await one(i);
  const spent = process.cpuUsage(start);
  console.log((spent.user + spent.system) / 1e6);
}
